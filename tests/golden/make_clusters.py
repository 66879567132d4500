# SPDX-License-Identifier: BSD-3-Clause
"""Golden clusters of SmolLM2's value vectors, by SciPy: writes clusters/raw.txt, projected.txt,
centred.txt and standard.txt.

usage: python make_clusters.py MODEL.gguf        needs gguf, numpy and scipy

Of all n = L*F value vectors in order, those number floor(j*n/2000), j = 0 .. 1999, are clustered by
complete linkage on cosine distance and cut at 200 clusters. A file has the cluster of each, counted
from 1, one a line. raw: the vectors v. projected: E(gamma*v), as they are, over the whole
vocabulary. centred: the same with the mean over the vocabulary taken off every projection.
standard: projected, of every token the scores less their mean over all n value vectors, over their
deviation.
"""

import sys
from pathlib import Path

import gguf
import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

SAMPLE, CLUSTERS = 2000, 200
OUT = Path(__file__).parent / "clusters"


def read(path):
    """Value vectors (n, D), E (V, D) and the final norm's gain (D), in float64."""
    tensors = {t.name: t for t in gguf.GGUFReader(path).tensors}

    def matrix(name):
        tensor = tensors[name]
        return gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float64)

    layers = sum(name.endswith(".ffn_down.weight") for name in tensors)
    values = np.concatenate([matrix(f"blk.{l}.ffn_down.weight").T for l in range(layers)])
    unembedding = "output.weight" if "output.weight" in tensors else "token_embd.weight"
    return values, matrix(unembedding), matrix("output_norm.weight")


def write(name, vectors):
    labels = fcluster(linkage(vectors, "complete", metric="cosine"), CLUSTERS, "maxclust")
    assert labels.max() == CLUSTERS, "distances are equal: another sample is needed"
    (OUT / f"{name}.txt").write_text("".join(f"{label}\n" for label in labels))


def main(path):
    values, unembedding, gain = read(path)
    OUT.mkdir(exist_ok=True)
    vectors = values[[j * len(values) // SAMPLE for j in range(SAMPLE)]]
    write("raw", vectors)
    scores = (vectors * gain) @ unembedding.T
    write("projected", scores)
    write("centred", scores - scores.mean(axis=1, keepdims=True))
    rows = unembedding * gain
    mean = values.mean(axis=0)
    covariance = np.cov(values, rowvar=False, bias=True)
    deviations = np.sqrt(((rows @ covariance) * rows).sum(axis=1))
    write("standard", (vectors - mean) @ rows.T / deviations)


if __name__ == "__main__":
    main(*sys.argv[1:])
