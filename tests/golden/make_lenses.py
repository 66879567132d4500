# SPDX-License-Identifier: BSD-3-Clause
"""Writes lenses/: fitted lenses as their authors' programs write them (torch.save), of the
checkpoint models/llama/hf, and what PyTorch reads through them.

tuned/            a tuned lens's folder: config.json, params.pt (a ModuleList's state dict)
jacobian.pt       the dict that JacobianLens.save writes, fp16
checkpoint.pt     that of a fit which was interrupted: jacobian_sum, n_done
tensors.pt        dtypes, strides, offsets and Python values that such files may have
golden.json       logits through the lenses; the Jacobian in double precision
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from common import numbers, write_json

HERE = Path(__file__).parent
OUT = HERE / "lenses"
WIDTH, LAYERS, SKIPPED = 32, 2, 16


def residuals(model, ids):
    """What enters each block, and what leaves the last: LAYERS + 1 of (T, D)."""
    kept = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, args, kw: kept.append(args[0] if args else
                                                                        kw["hidden_states"]),
                                        with_kwargs=True)
        for layer in model.model.layers
    ]
    hooks.append(model.model.norm.register_forward_pre_hook(lambda _, args: kept.append(args[0])))
    model(torch.tensor([ids]))
    for h in hooks:
        h.remove()
    return [x[0] for x in kept]


def logits(model, h):
    return model.lm_head(model.model.norm(h))


def jacobian(model, prompts):
    """J_0 of two layers: the mean over prompts of 1/|V| Σ_t Σ_{t' ≥ t} ∂h_final,t' / ∂h_0,t."""
    total = torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
    block = model.model.layers[1]
    for ids in prompts:
        x = residuals(model, ids)[1].detach()
        positions = torch.arange(len(ids))[None]
        rope = model.model.rotary_emb(x[None], positions)
        mask = torch.full((len(ids), len(ids)), float("-inf"), dtype=torch.float64).triu(1)

        def last(h):
            out = block(h[None], attention_mask=mask[None, None], position_ids=positions,
                        position_embeddings=rope)
            return (out[0] if isinstance(out, tuple) else out)[0]

        assert torch.allclose(last(x), residuals(model, ids)[2], atol=1e-12)
        valid = torch.arange(SKIPPED, len(ids) - 1)
        whole = torch.autograd.functional.jacobian(last, x)  # (T, D, T, D)
        # t' < t gives 0: attention is causal.
        total += whole[valid][:, :, valid].sum(dim=(0, 2)) / len(valid)
    return total / len(prompts)


def main():
    (OUT / "tuned").mkdir(parents=True, exist_ok=True)
    torch.manual_seed(31)
    model = AutoModelForCausalLM.from_pretrained(HERE / "models/llama/hf", dtype=torch.float32,
                                                 attn_implementation="eager").eval()
    ids = json.loads((HERE / "models/llama/golden.json").read_text())["ids"]

    maps = torch.nn.ModuleList(torch.nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))
    torch.save(maps.state_dict(), OUT / "tuned/params.pt")
    (OUT / "tuned/config.json").write_text(json.dumps({
        "base_model_name_or_path": "xlens/llama", "d_model": WIDTH, "num_hidden_layers": LAYERS,
        "bias": True, "base_model_revision": None, "unembed_hash": "0",
        "lens_type": "linear_tuned_lens"}) + "\n")

    with torch.no_grad():
        x = residuals(model, ids)
        final = torch.log_softmax(logits(model, x[2]).double(), -1)
        distances = []
        for h in (x[1], x[1] + maps[1](x[1])):
            here = torch.log_softmax(logits(model, h).double(), -1)
            distances.append({
                "kl": float((final.exp() * (final - here)).sum(-1).mean()),
                "agreement": float((final.argmax(-1) == here.argmax(-1)).double().mean())})
        tuned = [logits(model, h + m(h))[-1] for h, m in zip(x, maps)]
        j = torch.randn(WIDTH, WIDTH) / WIDTH**0.5
        half = j.to(torch.float16).float()
        transported = logits(model, x[1] @ half.T)[-1]
    torch.save({"J": {0: j.to(torch.float16)}, "n_prompts": 3, "source_layers": [0],
                "d_model": WIDTH}, OUT / "jacobian.pt")
    torch.save({"jacobian_sum": {0: 4 * half}, "n_done": 4, "target_layer": 1},
               OUT / "checkpoint.pt")

    double = model.double()
    random = torch.Generator().manual_seed(7)
    prompts = [torch.randint(288, (n,), generator=random).tolist() for n in (40, 33, 48)]
    exact = jacobian(double, prompts)

    base = torch.arange(24.0)
    torch.save({
        "double": torch.tensor([[1 / 3, 2.5], [-4.0, 1e-3]], dtype=torch.float64),
        "turned": base.reshape(4, 6).t(), "part": base[5:17].reshape(3, 4),
        "bfloat": torch.tensor([1.5, -2.25], dtype=torch.bfloat16),
        "half": torch.tensor(0.125, dtype=torch.float16), "stepped": base[1::4],
        "expanded": torch.ones(1).expand(3), "none": None, "yes": True, "no": False,
        "numbers": [0, 255, 65535, -7, 1 << 40, -(1 << 33)], "float": 0.1, "tuple": (1, "ä", ()),
    }, OUT / "tensors.pt")

    write_json(OUT / "golden.json", {
        "ids": ids,
        "tuned": [numbers(z) for z in tuned],
        "jacobian": numbers(transported),
        "distances": distances,
        "prompts": prompts,
        "exact": [float(f"{v:.12g}") for v in exact.flatten().tolist()],
    })


if __name__ == "__main__":
    main()
