# SPDX-License-Identifier: BSD-3-Clause
"""Tiny gpt-oss checkpoints with experts in MXFP4, as Hugging Face folder and GGUF, with goldens.

usage: python make_gpt_oss.py LLAMA_CPP            LLAMA_CPP as in make_families.py
Writes families/gpt_oss{,_yarn}/{hf/, model.gguf, golden.json}. Experts are quantised by the gguf
package and packed as transformers reads them, which must find the same numbers. The neurons of a
layer are those of its experts, then one for each expert's output bias.
"""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(sys.argv[1]).resolve() / "gguf-py"))  # what its converter needs

import gguf
import numpy as np
import torch
import transformers as t
from safetensors.torch import save_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from common import write_json
from make_families import HERE, NO_IDS, Mixture, convert, randomise, theta, yarn
from model_golden import golden_of, random_ids

SIZES = dict(
    vocab_size=96,
    hidden_size=32,
    intermediate_size=32,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    num_local_experts=4,
    num_experts_per_tok=2,
    sliding_window=8,
    max_position_embeddings=64,
    **NO_IDS,
)
KINDS = {
    "gpt_oss": dict(rope_parameters=theta(150000.0)),
    "gpt_oss_yarn": dict(rope_parameters=dict(yarn(truncate=False), rope_theta=150000.0)),
}
KIND = gguf.GGMLQuantizationType.MXFP4


class Oss(Mixture):
    """Experts with biases: the biases of what they write are neurons of their own."""

    def __init__(self, model):
        super().__init__(model)
        self.ffn = self.second = "mlp"

    def weights(self, layer, x):
        router = self.layers[layer].mlp.router
        best, which = (x @ router.weight.T + router.bias).topk(router.top_k, -1)
        p = torch.zeros(len(x), router.num_experts)
        return p.scatter(1, which, torch.softmax(best, -1))

    def coefficients(self, layer, x):
        p, e = self.weights(layer, x), self.layers[layer].mlp.experts
        out = []
        for i in range(p.shape[1]):
            both = x @ e.gate_up_proj[i] + e.gate_up_proj_bias[i]
            gate, up = both[:, ::2].clamp(max=7.0), both[:, 1::2].clamp(-7.0, 7.0)
            out.append(p[:, i : i + 1] * (up + 1) * gate * torch.sigmoid(1.702 * gate))
        return torch.cat([*out, p], 1)

    def values(self, layer):
        e = self.layers[layer].mlp.experts
        return torch.cat([*e.down_proj, e.down_proj_bias])

    @torch.no_grad()
    def edited(self, ids, layer, index, value, positions):
        def hook(module, inputs, output):
            m = self.coefficients(layer, inputs[0][0])[:, index]
            change = (value - m).unsqueeze(1) * self.values(layer)[index]
            if positions == "last":
                change[:-1] = 0
            return (output[0] + change, *output[1:])

        handle = self.layers[layer].mlp.register_forward_hook(hook)
        logits = self.model(torch.tensor([ids]), use_cache=False).logits[0]
        handle.remove()
        return logits


def packed(weight):
    """(N, rows, cols) -> blocks and scales as gpt-oss has them, and what they mean."""
    data = gguf.quants.quantize(weight.numpy(), KIND)
    meant = torch.from_numpy(gguf.quants.dequantize(data, KIND).reshape(weight.shape))
    blocks = data.reshape(*weight.shape[:-1], -1, 17)
    low, high = blocks[..., 1:] & 0xF, blocks[..., 1:] >> 4
    codes = np.concatenate([low, high], axis=-1)  # in order
    pairs = codes[..., ::2] | codes[..., 1::2] << 4
    return torch.from_numpy(pairs), torch.from_numpy(blocks[..., 0].copy()), meant


@torch.no_grad()
def save(name, seed):
    folder = HERE / "families" / name / "hf"
    shutil.rmtree(folder, ignore_errors=True)
    model = t.GptOssForCausalLM(t.GptOssConfig(**SIZES, **KINDS[name]))
    randomise(model, seed)
    for layer in model.model.layers:
        layer.self_attn.sinks.mul_(3.0)
        # Some beyond the limits, as in trained models.
        layer.mlp.experts.gate_up_proj.mul_(4.0)
        layer.mlp.experts.gate_up_proj_bias.mul_(2.0)
        layer.mlp.experts.down_proj.mul_(0.3)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tensors = {}
    for key, value in model.state_dict().items():
        if not key.endswith(("gate_up_proj", "down_proj")):
            tensors[key] = value
            continue
        blocks, scales, meant = packed(value.transpose(1, 2).contiguous())
        tensors[key + "_blocks"], tensors[key + "_scales"] = blocks, scales
        found = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
        assert torch.equal(found, meant.transpose(1, 2)), key
        value.copy_(meant.transpose(1, 2))
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "model.safetensors")
    path = folder / "config.json"
    fields = json.loads(path.read_text())
    quantised = {"modules_to_not_convert": ["lm_head"], "quant_method": "mxfp4"}
    path.write_text(json.dumps({**fields, "quantization_config": quantised}, indent=1) + "\n")
    model.set_attn_implementation("eager")
    return model.eval()


def main():
    torch.set_num_threads(1)
    t.utils.logging.disable_progress_bar()
    t.utils.logging.set_verbosity_error()
    for name in KINDS:
        for seed in range(60):
            model = save(name, seed)
            golden = golden_of(name, "gpt_oss", Oss(model), random_ids(SIZES["vocab_size"], seed))
            if golden:
                break
        write_json(HERE / "families" / name / "golden.json", golden)
        said = convert(
            Path(sys.argv[1]).resolve(), HERE / "families" / name / "hf",
            HERE / "families" / name / "model.gguf",
        )
        print(name, "seed", seed, said, flush=True)


if __name__ == "__main__":
    main()
