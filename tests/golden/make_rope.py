# SPDX-License-Identifier: BSD-3-Clause
"""Writes tests/golden/rope/<name>.bin: what transformers' LlamaRotaryEmbedding computes.

A file is float32, little-endian: the 32 inverse frequencies, then 32 cosines and 32 sines for each
of the positions 0, 1, 7, 100, 2047 and 8191. Run with torch and transformers: python make_rope.py
"""

import pathlib

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

POSITIONS = [0, 1, 7, 100, 2047, 8191]
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
CASES = {
    "plain": {"rope_type": "default", "rope_theta": 10000.0},
    "large_theta": {"rope_type": "default", "rope_theta": 1000000.0},
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    "llama3": LLAMA3,
}


def main() -> None:
    folder = pathlib.Path(__file__).parent / "rope"
    folder.mkdir(exist_ok=True)
    for name, parameters in CASES.items():
        config = LlamaConfig(
            hidden_size=128,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=64,
            max_position_embeddings=131072,
            rope_parameters=parameters,
        )
        rotary = LlamaRotaryEmbedding(config)
        cos, sin = rotary(torch.zeros(1), torch.tensor([POSITIONS]))
        rows = [rotary.inv_freq]
        for i in range(len(POSITIONS)):
            rows += [cos[0, i, :32], sin[0, i, :32]]
        data = torch.cat(rows).to(torch.float32).numpy().astype("<f4")
        (folder / f"{name}.bin").write_bytes(data.tobytes())


if __name__ == "__main__":
    main()
