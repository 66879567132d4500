#!/usr/bin/env python3
"""Decisions of the paper's early-exit rule, worked out in numpy: early_exit/cluster.bin

Geva et al. 2022, section 6.2, as its notebook has it: a position leaves at layer l if its list of
cluster ids there is more like the lists of examples that saturate at l than like those of any later
layer, by the largest and by the mean number of equal positions. Lists are drawn so that ranks have
clusters of their own, mixed by layer; both answers are common.

File, all numbers 8-bit: layers, clusters; then 2000 examples (layer, 10 ids), 5000 items (layer, 10
ids, decision). Run: python3 make_exit_cluster.py
"""
import pathlib

import numpy as np

LAYERS, CLUSTERS, EXAMPLES, ITEMS, RANKS = 12, 200, 2000, 5000, 10


def decide(item, layer, groups):
    """Whether a list of ids leaves at `layer`, given the lists of examples that saturate at a
    layer, for each."""
    same = [(g == item).sum(1) for g in groups]
    here = same[layer]
    later = [g for g in same[layer + 1 :] if len(g)]
    return bool(len(here)) and all(
        here.max() > g.max() and here.sum() * len(g) > g.sum() * len(here) for g in later
    )


def main():
    rng = np.random.default_rng(38)
    favourites = rng.integers(0, CLUSTERS, (LAYERS, RANKS, 6))

    def lists(layer):
        """One list an entry of `layer`, mostly of the layer's favourite clusters."""
        pick = rng.integers(0, 6, (len(layer), RANKS)) // rng.integers(1, 4, (len(layer), 1))
        own = favourites[layer[:, None], np.arange(RANKS), pick]
        noise = rng.integers(0, CLUSTERS, own.shape)
        return np.where(rng.random(own.shape) < 0.3, noise, own)

    # Layer 4 has no examples: an empty group must not decide anything.
    saturates = rng.choice([l for l in range(LAYERS) if l != 4], EXAMPLES)
    examples = lists(saturates)
    at = rng.integers(0, LAYERS - 1, ITEMS)
    like = np.clip(at + rng.integers(-1, 2, ITEMS), 0, LAYERS - 1)
    items = lists(like)
    groups = [examples[saturates == l] for l in range(LAYERS)]
    decisions = np.array([decide(item, l, groups) for item, l in zip(items, at)], np.uint8)

    out = bytes([LAYERS, CLUSTERS])
    out += np.hstack([saturates[:, None], examples]).astype(np.uint8).tobytes()
    out += np.hstack([at[:, None], items, decisions[:, None]]).astype(np.uint8).tobytes()
    path = pathlib.Path(__file__).parent / "early_exit" / "cluster.bin"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(out)
    print(f"{path}: {len(out)} bytes, {decisions.sum()} of {ITEMS} leave")


if __name__ == "__main__":
    main()
