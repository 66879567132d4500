# SPDX-License-Identifier: BSD-3-Clause
"""Tiny Llama checkpoints in 8-bit floats, as Hugging Face folders with golden.json.

usage: python make_float8.py
Writes families/llama_f8_{block,channel,tensor}/{hf/, golden.json}: weights in E4M3 with a scale for
each 16 x 32 of them as transformers' FineGrainedFP8Config has it, and with one a row or one for all
as compressed-tensors has it ("float-quantized"). The goldens are of what torch makes of codes and
scales in float32; of the first kind, of the model that transformers loads, which must be the same.
"""

import json
import shutil

import torch
import transformers as t
from safetensors.torch import save_file

from common import write_json
from make_families import BASE, HERE, randomise, subject
from model_golden import golden_of, random_ids

SIZES = dict(BASE, hidden_size=32, intermediate_size=64, num_hidden_layers=2)
LARGEST = 448.0  # of E4M3

GROUP = {
    "input_activations": {"dynamic": True, "num_bits": 8, "strategy": "token", "type": "float"},
    "output_activations": None,
    "targets": ["Linear"],
}


def compressed(strategy):
    weights = {
        "actorder": None,
        "block_structure": None,
        "dynamic": False,
        "group_size": None,
        "num_bits": 8,
        "observer": "minmax",
        "observer_kwargs": {},
        "strategy": strategy,
        "symmetric": True,
        "type": "float",
    }
    return {
        "config_groups": {"group_0": {**GROUP, "weights": weights}},
        "format": "float-quantized",
        "global_compression_ratio": 1.2,
        "ignore": ["lm_head"],
        "kv_cache_scheme": None,
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
    }


FINE = {
    "activation_scheme": "dynamic",
    "fmt": "e4m3",
    "quant_method": "fp8",
    "weight_block_size": [16, 32],
}
# name: its quantization_config, the block that shares a scale (0: all), how scales are called,
# their type and, of the one scale of a tensor, its shape
KINDS = {
    "block": (FINE, (16, 32), "_scale_inv", torch.float32, None),
    "channel": (compressed("channel"), (1, 0), "_scale", torch.bfloat16, None),
    "tensor": (compressed("tensor"), (0, 0), "_scale", torch.float32, (1,)),
}


def quantise(weight, block, dtype):
    """Codes, scales and what they mean in float32."""
    rows, cols = (size or whole for size, whole in zip(block, weight.shape))
    blocks = weight.reshape(weight.shape[0] // rows, rows, weight.shape[1] // cols, cols)
    scales = (blocks.abs().amax(dim=(1, 3)) / LARGEST).to(dtype)
    wide = scales.float().repeat_interleave(rows, 0).repeat_interleave(cols, 1)
    codes = (weight / wide).clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn)
    return codes, scales, codes.to(torch.float32) * wide


@torch.no_grad()
def save(name, seed):
    config, block, suffix, dtype, shape = KINDS[name]
    folder = HERE / "families" / f"llama_f8_{name}" / "hf"
    shutil.rmtree(folder, ignore_errors=True)
    model = t.LlamaForCausalLM(t.LlamaConfig(**SIZES))
    randomise(model, seed)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tensors = {}
    for key, value in model.state_dict().items():
        if "_proj.weight" not in key:
            tensors[key] = value
            continue
        codes, scales, meant = quantise(value, block, dtype)
        tensors[key] = codes
        tensors[key + suffix] = scales.reshape(shape) if shape else scales
        value.copy_(meant)
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "model.safetensors")
    path = folder / "config.json"
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, "quantization_config": config}, indent=1) + "\n")
    if config["quant_method"] == "fp8":
        loaded = t.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
        for key, value in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], value), key
    model.config._attn_implementation = "eager"
    return model.eval()


def main():
    torch.set_num_threads(1)
    t.utils.logging.disable_progress_bar()
    t.utils.logging.set_verbosity_error()
    for name in KINDS:
        for seed in range(60):
            model = save(name, seed)
            golden = golden_of(
                f"llama_f8_{name}", "llama", subject(model), random_ids(SIZES["vocab_size"], seed)
            )
            if golden:
                break
        write_json(HERE / "families" / f"llama_f8_{name}" / "golden.json", golden)
        print(name, "seed", seed, flush=True)


if __name__ == "__main__":
    main()
