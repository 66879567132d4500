#!/usr/bin/env python3
"""The paper's early-exit rule on real features: early_exit/smollm2.bin

usage: python make_exit_features.py MODEL.gguf
the model of make_smollm2.py; the text of perplexity.txt

Nothing here is xlens's: transformers runs the model, the coefficients are the inputs of its down
projections, dominance is |m|·‖v‖ of its weights, clusters are a spherical k-means of the 46,080
value vectors in torch, and the rule is the one of make_exit_cluster.py. Even positions are the
examples, odd ones are asked at every layer but the last.

File, little-endian: u16 layers L, inner width F, tokens T; u8 cluster of every neuron (L, F); u8
saturation layer of every position (T); u8 ids of the ten dominant sub-updates (T, L, 10); u8
decisions (T/2, L - 1).
"""
import sys
from pathlib import Path

import numpy as np
import torch

from make_exit_cluster import decide
from make_smollm2 import Checkpoint

CLUSTERS, STEPS, RANKS = 200, 12, 10
HERE = Path(__file__).parent


def clusters_of(values):
    """Spherical k-means, Lloyd's steps from vectors drawn at random."""
    x = values / values.norm(dim=1, keepdim=True)
    centres = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(38))[:CLUSTERS]]
    for _ in range(STEPS):
        nearest = (x @ centres.T).argmax(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, x)
        centres = sums / sums.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return nearest


def main():
    torch.manual_seed(0)
    checkpoint = Checkpoint(sys.argv[1])
    parts = checkpoint.parts
    text = (HERE / "smollm2" / "perplexity.txt").read_text()
    ids = checkpoint.ids(text)
    values = [parts.values(layer).detach() for layer in range(len(parts.layers))]
    cluster = clusters_of(torch.cat(values)).view(len(values), -1)
    logits, records = parts.run(ids)
    final = logits.argmax(1)
    tops = torch.stack([parts.lens(r["after"]).argmax(1) for r in records[:-1]] + [final])  # (L, T)
    same = (tops == final).numpy()
    layers, tokens = same.shape
    saturates = [layers - int(np.cumprod(same[::-1, t]).sum()) for t in range(tokens)]
    lists = np.zeros((tokens, layers, RANKS), np.uint8)
    for layer, (v, record) in enumerate(zip(values, records)):
        best = (record["m"].abs() * v.norm(dim=1)).topk(RANKS, dim=1).indices
        lists[:, layer] = cluster[layer][best].numpy()

    examples = np.arange(0, tokens, 2)
    groups = [[lists[t, l] for t in examples if saturates[t] == l] for l in range(layers)]
    groups = [np.array(g).reshape(-1, RANKS) for g in groups]
    decisions = np.array(
        [[decide(lists[t, l], l, groups) for l in range(layers - 1)] for t in range(1, tokens, 2)]
    )
    out = np.array([layers, values[0].shape[0], tokens], np.uint16).tobytes()
    out += cluster.numpy().astype(np.uint8).tobytes() + bytes(saturates)
    out += lists.tobytes() + decisions.astype(np.uint8).tobytes()
    path = HERE / "early_exit" / "smollm2.bin"
    path.write_bytes(out)
    print(f"{path}: {len(out)} bytes, {decisions.sum()} of {decisions.size} leave")


if __name__ == "__main__":
    main()
