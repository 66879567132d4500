# SPDX-License-Identifier: BSD-3-Clause
"""Golden data of the projection `standard` and of kurtosis, by torch in float64.

usage: python make_standard.py MODEL.gguf     writes concepts/standard.json (README.md: its schema)
"""

import sys
from pathlib import Path

import torch
import transformers

import make_smollm2
from common import Parts, number, numbers, ranked, write_json

HERE = Path(__file__).parent
OUT = HERE / "concepts"
TINY = ("gpt2", "llama", "qwen3")
SMOLLM2 = ((0, 0), (4, 1033), (11, 512), (17, 77), (22, 916), (23, 1400), (29, 645), (29, 1189))
SHOWN, EVERY = 5, 7


@torch.no_grad()
def golden_of(name, parts, neurons):
    layers = len(parts.layers)
    values = torch.stack([parts.values(layer).double() for layer in range(layers)])  # (L, F, D)
    every = values.reshape(-1, values.shape[-1])
    rows = parts.final_norm.weight.double() * parts.unembedding.double()  # γ⊙e_w, (V, D)
    mean = every.mean(0)
    centred = every - mean
    covariance = centred.T @ centred / len(every)
    deviation = ((rows @ covariance) * rows).sum(1).sqrt()
    out = []
    for layer, index in neurons:
        v = values[layer, index]
        folded = rows @ v
        standard = rows @ (v - mean) / deviation
        shifted = folded - folded.mean()
        kurtosis = (shifted**4).mean() / (shifted**2).mean() ** 2 - 3.0
        ends = lambda largest: [
            {"id": i, "score": number(standard[i].item())}
            for i in ranked(standard, SHOWN, largest)
        ]
        out.append(
            {
                "neuron": f"{layer}:{index}",
                "kurtosis": number(kurtosis.item()),
                "promotes": ends(True),
                "suppresses": ends(False),
            }
        )
    return {
        "model": name,
        "mean": numbers(mean[:8]),
        "covariance": numbers(covariance[:3, :3]),
        "neurons": out,
    }


def main():
    torch.set_num_threads(1)
    OUT.mkdir(exist_ok=True)
    all_of = []
    for name in TINY:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            HERE / "models" / name / "hf", dtype=torch.float32
        ).eval()
        parts = Parts(model)
        width = parts.values(0).shape[0]
        neurons = [(l, i) for l in range(len(parts.layers)) for i in range(0, width, EVERY)]
        all_of.append(golden_of(f"models/{name}/hf", parts, neurons))
    all_of.append(golden_of("smollm2", make_smollm2.Checkpoint(sys.argv[1]).parts, SMOLLM2))
    write_json(OUT / "standard.json", {"models": all_of})


if __name__ == "__main__":
    main()
