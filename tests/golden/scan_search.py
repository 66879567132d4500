# SPDX-License-Identifier: BSD-3-Clause
"""What `xlens search` finds, against a scan by brute force: every value vector of a llama in GGUF,
dequantised by the gguf package and scored in NumPy over the whole vocabulary, for each way to
normalise. Prints how many neurons were compared and the largest difference; exits with 1 above
1e-3.

usage: python scan_search.py XLENS MODEL.gguf WORDS [WORDS...]     as in --words "red,green,blue"
"""

import json
import subprocess
import sys

import gguf
import numpy as np

SCALES = ("none", "norm", "spread")


def read(path):
    """γ (D), E (V, D) and the value vectors of each layer (F, D)."""
    tensors = {t.name: t for t in gguf.GGUFReader(path).tensors}
    full = lambda name: gguf.dequantize(tensors[name].data, tensors[name].tensor_type)
    e = full("output.weight" if "output.weight" in tensors else "token_embd.weight")
    layers = sum(name.endswith("ffn_down.weight") for name in tensors)
    values = [full(f"blk.{l}.ffn_down.weight").T for l in range(layers)]
    return full("output_norm.weight"), e, values


def scores(gain, e, values, ids):
    """Of each scale: scores (layers, F), from the projection of every vector over all tokens."""
    out = {scale: [] for scale in SCALES}
    for v in values:
        folded = (v * gain).astype(np.float32)
        projected = folded @ e.T
        mean = projected.mean(axis=1, dtype=np.float64)
        spread = projected.std(axis=1, dtype=np.float64)
        score = projected[:, ids].astype(np.float64).mean(axis=1)
        out["none"].append(score)
        out["norm"].append(score / np.linalg.norm(v.astype(np.float64), axis=1))
        out["spread"].append((score - mean) / spread)
    return {scale: np.array(layers) for scale, layers in out.items()}


def main():
    xlens, path, queries = sys.argv[1], sys.argv[2], sys.argv[3:]
    gain, e, values = read(path)
    worst = 0.0
    for words in queries:
        wanted = None
        for scale in SCALES:
            command = [xlens, "search", path, "--words", words, "--normalise", scale]
            limit = str(sum(len(v) for v in values))
            command += ["--control", "0", "--limit", limit, "--top", "1", "--json"]
            answer = json.loads(subprocess.check_output(command))
            if wanted is None:
                ids = [t["id"] for t in answer["query"]["tokens"]]
                wanted = scores(gain, e, values, ids)
            found = np.full(wanted[scale].shape, np.nan)
            for hit in answer["hits"]:
                layer, index = map(int, hit["neuron"].split(":"))
                found[layer, index] = hit["score"]
            order = [hit["score"] for hit in answer["hits"]]
            assert order == sorted(order, reverse=True), "hits are not in order"
            difference = np.abs(found - wanted[scale]) / np.maximum(1.0, np.abs(wanted[scale]))
            assert not np.isnan(difference).any(), "a neuron is missing"
            worst = max(worst, difference.max())
            best = np.unravel_index(np.argmax(wanted[scale]), wanted[scale].shape)
            print(
                f"{words}, {len(ids)} tokens, {scale}: {found.size} neurons, largest difference "
                f"{difference.max():.1e}; best {answer['hits'][0]['neuron']}, "
                f"by the scan {best[0]}:{best[1]}"
            )
    return int(worst > 1e-3)


if __name__ == "__main__":
    sys.exit(main())
