# SPDX-License-Identifier: BSD-3-Clause
"""Writes saes/: random sparse autoencoders in the formats that they are published in, of the
checkpoint models/llama/hf (models/gpt2/hf for one), and what their formulas give in PyTorch:
  z = x W_enc + b_enc (x - b_dec first where the config says so), f = relu(z) [z > threshold],
  x_hat = f W_dec + b_dec                      (sae_lens/saes/{standard,jumprelu}_sae.py of SAELens)

standard/         SAELens before version 6: standard, reads hook_resid_post of layer 0
jumprelu/         SAELens 6: jumprelu, hook_mlp_out of layer 1, without b_dec at the input
centred/          SAELens: of gpt2 as TransformerLens loads it, center_writing_weights
gemma-scope-2b-pt-res/layer_0/width_40/  Gemma Scope: params.npz
scope_2/          Gemma Scope 2: params.safetensors, config.json
golden.json       per folder the activations of every position and the last one's reconstruction;
                  logits of the last position with one feature pushed
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from common import numbers, write_json
from make_lenses import logits, residuals

HERE = Path(__file__).parent
OUT = HERE / "saes"
WIDTH, FEATURES = 32, 40
PUSHED, STRENGTH = 7, 3.5


def random_weights(x):
    """With directions of length 1, and about a fifth of the features active."""
    w = {"W_enc": torch.randn(WIDTH, FEATURES) / x.std() / WIDTH**0.5,
         "W_dec": torch.nn.functional.normalize(torch.randn(FEATURES, WIDTH), dim=1),
         "b_enc": torch.randn(FEATURES) * 0.3 - 0.6, "b_dec": torch.randn(WIDTH) * 0.1 * x.std()}
    return w


def encode(w, x, subtracts, threshold=None):
    z = (x - w["b_dec"] if subtracts else x) @ w["W_enc"] + w["b_enc"]
    f = torch.relu(z)
    if threshold is not None:
        f = f * (z > threshold)
        bar = threshold
    else:
        bar = torch.zeros(FEATURES)
    assert (z - bar).abs().min() > 1e-5, "too near a threshold to tell"
    return f


def golden(w, x, f):
    return {"activations": [numbers(row) for row in f],
            "rebuilt": numbers(f[-1] @ w["W_dec"] + w["b_dec"])}


def folder(name, config, tensors, config_name="cfg.json", file_name="sae_weights.safetensors"):
    path = OUT / name
    path.mkdir(parents=True, exist_ok=True)
    (path / config_name).write_text(json.dumps(config) + "\n")
    save_file({k: v.contiguous() for k, v in tensors.items()}, path / file_name)


@torch.no_grad()
def main():
    torch.manual_seed(97)
    model = AutoModelForCausalLM.from_pretrained(HERE / "models/llama/hf", dtype=torch.float32,
                                                 attn_implementation="eager").eval()
    ids = json.loads((HERE / "models/llama/golden.json").read_text())["ids"]
    updates = []
    hook = model.model.layers[1].mlp.register_forward_hook(lambda _, i, o: updates.append(o[0]))
    x = residuals(model, ids)
    hook.remove()
    out = {"ids": ids, "pushed": PUSHED, "strength": STRENGTH}

    w = random_weights(x[1])
    folder("standard", {
        "architecture": "standard", "d_in": WIDTH, "d_sae": FEATURES, "dtype": "float32",
        "activation_fn_str": "relu", "apply_b_dec_to_input": True, "normalize_activations": "none",
        "model_name": "xlens/llama", "hook_name": "blocks.0.hook_resid_post", "hook_layer": 0,
        "hook_head_index": None, "finetuning_scaling_factor": False, "sae_lens_version": "3.9.0",
        "prepend_bos": True}, w)
    out["standard"] = golden(w, x[1], encode(w, x[1], True))

    # A push of what block 1 reads.
    push = STRENGTH * w["W_dec"][PUSHED]
    hook = model.model.layers[1].register_forward_pre_hook(
        lambda _, args, kw: ((args[0] + push, *args[1:]), kw) if args else
        (args, {**kw, "hidden_states": kw["hidden_states"] + push}), with_kwargs=True)
    out["logits"] = numbers(model(torch.tensor([ids])).logits[0, -1])
    hook.remove()

    w = random_weights(updates[0])
    threshold = torch.rand(FEATURES) * 0.5
    folder("jumprelu", {
        "architecture": "jumprelu", "d_in": WIDTH, "d_sae": FEATURES, "dtype": "float32",
        "apply_b_dec_to_input": False, "normalize_activations": "none",
        "reshape_activations": "none", "metadata": {
            "model_name": "xlens/llama", "hook_name": "blocks.1.hook_mlp_out",
            "hook_head_index": None, "model_from_pretrained_kwargs": {}, "prepend_bos": True,
            "sae_lens_version": "6.12.1"}}, {**w, "threshold": threshold})
    out["jumprelu"] = golden(w, updates[0], encode(w, updates[0], False, threshold))

    gpt2 = AutoModelForCausalLM.from_pretrained(HERE / "models/gpt2/hf", dtype=torch.float32,
                                                attn_implementation="eager").eval()
    kept = []
    hook = gpt2.transformer.h[1].register_forward_pre_hook(
        lambda _, args, kw: kept.append((args[0] if args else kw["hidden_states"])[0]),
        with_kwargs=True)
    gpt2_ids = json.loads((HERE / "models/gpt2/golden.json").read_text())["ids"]
    gpt2(torch.tensor([gpt2_ids]))
    hook.remove()
    centred = kept[0] - kept[0].mean(-1, keepdim=True)
    w = random_weights(centred)
    folder("centred", {
        "architecture": "standard", "d_in": WIDTH, "d_sae": FEATURES, "dtype": "float32",
        "hook_name": "blocks.1.hook_resid_pre", "hook_layer": 1,
        "model_from_pretrained_kwargs": {"center_writing_weights": True}}, w)
    out["centred"] = golden(w, centred, encode(w, centred, True))
    out["gpt2_ids"] = gpt2_ids

    w = random_weights(x[1])
    threshold = torch.rand(FEATURES) * 0.5
    raw = {k.replace("W_", "w_"): v for k, v in w.items()} | {"threshold": threshold}
    path = OUT / "gemma-scope-2b-pt-res/layer_0/width_40"
    path.mkdir(parents=True, exist_ok=True)
    np.savez(path / "params.npz", **{k: v.numpy() for k, v in raw.items()})
    out["scope"] = golden(w, x[1], encode(w, x[1], False, threshold))
    folder("scope_2", {
        "hf_hook_point_in": "model.layers.0.output", "hf_hook_point_out": "model.layers.0.output",
        "width": FEATURES, "model_name": "xlens/llama", "architecture": "jump_relu", "l0": 8,
        "affine_connection": False, "type": "sae"}, raw, "config.json", "params.safetensors")

    write_json(OUT / "golden.json", out)


if __name__ == "__main__":
    main()
