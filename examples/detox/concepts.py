# SPDX-License-Identifier: BSD-3-Clause
"""Which value vectors promote a concept: all of them scored against its words.

A word's score under a value vector v is (e_w - mean e)·(γ⊙v) / sqrt(vᵀ·γCγ·v): how many standard
deviations of all tokens' scores it stands above their mean, C being the covariance of the rows of
E. A concept's score is the mean over its words.
"""

import json

import gguf
import numpy as np


class Values:
    """The value vectors of a GGUF model in the vocabulary."""

    def __init__(self, path):
        tensors = {t.name: t for t in gguf.GGUFReader(path).tensors}
        read = lambda name: gguf.quants.dequantize(tensors[name].data, tensors[name].tensor_type)
        gain = read("output_norm.weight").astype(np.float32)
        unembedding = read("output.weight" if "output.weight" in tensors else "token_embd.weight")
        self.folded = unembedding.astype(np.float32) * gain
        self.folded -= self.folded.mean(axis=0)
        self.covariance = self.folded.T @ self.folded / len(self.folded)
        self.values, self.names = [], []
        layer = 0
        while f"blk.{layer}.ffn_down.weight" in tensors:
            v = read(f"blk.{layer}.ffn_down.weight").astype(np.float32).T
            self.values.append(v)
            self.names += [f"{layer}:{i}" for i in range(len(v))]
            layer += 1
        self.values = np.concatenate(self.values)
        self.spread = np.sqrt(
            np.maximum(((self.values @ self.covariance) * self.values).sum(axis=1), 1e-20)
        )

    def best(self, words, count, without=()):
        """The `count` vectors whose mean score of these tokens is furthest from 0, whatever its
        sign: the coefficients of a gated model have both. [(name, score)]"""
        scores = (self.values @ self.folded[words].T).mean(axis=1) / self.spread
        order = np.argsort(-np.abs(scores), kind="stable")
        found = ((self.names[i], float(scores[i])) for i in order if self.names[i] not in without)
        return [next(found) for _ in range(count)]

    def promoted(self, name, count, sign=1.0):
        """Ids of the tokens that sign·v promotes most."""
        scores = self.folded @ (sign * self.values[self.names.index(name)])
        return np.argsort(-scores, kind="stable")[:count].tolist()


def recipe(values, site="coefficient"):
    """Sets each of some neurons to its value: {"L:I": m}."""
    steps = []
    for m in sorted(set(values.values())):
        neurons = [n for n, value in values.items() if value == m]
        steps.append({"do": "set", "neurons": neurons, "value": m, "on": site})
    return json.dumps({"interventions": steps})
