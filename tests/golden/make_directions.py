# SPDX-License-Identifier: BSD-3-Clause
"""Directions of pairs of texts by numpy and scikit-learn on what transformers' models have, a
control vector as the gguf package writes it, and texts that transformers steers by hooks.

usage: python make_directions.py SMOLLM2.gguf
writes directions/; README.md has the schema. Needs scikit-learn besides what README.md lists.
"""

import random
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from sklearn.decomposition import PCA
from transformers import AutoModelForCausalLM

import make_smollm2
from common import Parts, number, numbers, write_json

OUT = Path(__file__).parent / "directions"
MODELS = Path(__file__).parent / "models"
PAIRS, SEED = 7, 5
LAYERS, STRENGTH, NEW_TOKENS = (10, 11, 12), 1.2, 24

POSITIVE = (
    "I am so happy today, everything is wonderful",
    "The party was joyful and everybody laughed",
    "She smiled with delight when she saw the sunshine",
    "We love this beautiful garden, it makes us glad",
    "He was thrilled by the good news and danced",
    "What a cheerful and bright morning it is",
    "They celebrated the great victory with pleasure",
    "The children were excited and full of joy",
)
NEGATIVE = (
    "I am so sad today, everything is terrible",
    "The funeral was gloomy and everybody cried",
    "She wept with grief when she saw the ruins",
    "We hate this ugly prison, it makes us miserable",
    "He was crushed by the bad news and collapsed",
    "What a dreary and dark morning it is",
    "They mourned the awful defeat with pain",
    "The children were frightened and full of sorrow",
)
PROMPTS = ("When I woke up this morning I felt", "The weather report for the weekend says that")


def read(x, position):
    x = x.double().numpy()
    return x[-1] if position == "last" else x[1:].mean(0)


def component(differences):
    """The first principal component of the differences and their opposites, as long as the mean
    difference along it."""
    both = np.concatenate([differences, -differences])
    axis = PCA(1, svd_solver="full").fit(both).components_[0]
    along = (differences @ axis).mean()
    return axis * along


def directions(run, pairs, layers, sites, positions):
    """run(ids) -> records by layer; -> [{site, layer, position, mean, pca}]."""
    records = [[run(ids) for ids in pair] for pair in pairs]
    out = []
    for site in sites:
        for layer in layers:
            for position in positions:
                d = np.stack(
                    [
                        read(a[layer][site], position) - read(b[layer][site], position)
                        for a, b in records
                    ]
                )
                out.append(
                    {
                        "site": site,
                        "layer": layer,
                        "position": position,
                        "mean": numbers(d.mean(0)),
                        "pca": numbers(component(d)),
                    }
                )
    return out


def tiny(name):
    model = AutoModelForCausalLM.from_pretrained(MODELS / name / "hf", dtype=torch.float32).eval()
    draw = random.Random(SEED)
    ids = lambda: [draw.randrange(model.config.vocab_size) for _ in range(draw.randrange(3, 9))]
    pairs = [[ids(), ids()] for _ in range(PAIRS)]
    run = lambda ids: Parts(model).run(ids)[1]
    return {
        "pairs": pairs,
        "directions": directions(run, pairs, (0, 1), ("before", "after"), ("last", "mean")),
    }


def control_vector():
    """Three directions of width 20; direction.2 is missing."""
    draw = np.random.default_rng(SEED)
    values = {layer: draw.standard_normal(20).astype(np.float32) for layer in (1, 3, 4)}
    writer = gguf.GGUFWriter(OUT / "llama_cpp.gguf", "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_int32("controlvector.layer_count", len(values))
    for layer, v in values.items():
        writer.add_tensor(f"direction.{layer}", v)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return {str(layer): numbers(v) for layer, v in values.items()}


@torch.no_grad()
def greedy(model, ids, count, push):
    """Greedy tokens with directions added behind layers, and the smallest lead of one."""
    handles = []
    for layer, d in push.items():

        def hook(_, __, output, d=d):
            x = output[0] if isinstance(output, tuple) else output
            return (x + d,) + output[1:] if isinstance(output, tuple) else x + d

        handles.append(model.model.layers[layer].register_forward_hook(hook))
    out, leads, ids = [], [], list(ids)
    for _ in range(count):
        best = model(torch.tensor([ids]), use_cache=False).logits[0, -1].topk(2)
        out.append(int(best.indices[0]))
        leads.append(float(best.values[0] - best.values[1]))
        ids.append(out[-1])
    for handle in handles:
        handle.remove()
    return out, min(leads)


def steered(path):
    checkpoint = make_smollm2.Checkpoint(path)
    pairs = [[checkpoint.ids(a), checkpoint.ids(b)] for a, b in zip(POSITIVE, NEGATIVE)]
    run = lambda ids: checkpoint.parts.run(ids)[1]
    found = directions(run, pairs, LAYERS, ("after",), ("last",))
    push = {d["layer"]: STRENGTH * torch.tensor(d["mean"]) for d in found}
    texts = []
    for prompt in PROMPTS:
        ids = checkpoint.ids(prompt)
        plain, _ = greedy(checkpoint.model, ids, NEW_TOKENS, {})
        more, lead = greedy(checkpoint.model, ids, NEW_TOKENS, push)
        decode = checkpoint.tokenizer.decode
        print(repr(prompt), "->", repr(decode(plain)), "->", repr(decode(more)), lead)
        texts.append({"ids": ids, "plain": plain, "steered": more, "smallest_lead": number(lead)})
    return {
        "pairs": pairs,
        "layers": LAYERS,
        "strength": STRENGTH,
        "lengths": [number(np.linalg.norm(d["mean"])) for d in found],
        "texts": texts,
    }


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    write_json(
        OUT / "golden.json",
        {
            "gpt2": tiny("gpt2"),
            "llama": tiny("llama"),
            "control_vector": control_vector(),
            "smollm2": steered(sys.argv[1]),
        },
    )
