# SPDX-License-Identifier: BSD-3-Clause
"""Golden data of examples: where ten neurons fire in a text, by transformers in float32 and hooks.

usage: python make_examples.py SMOLLM2.gguf GEMMA3.gguf     writes examples/; README.md has the
schema. A minute and 3 GB on a quiet machine.
"""

import math
import sys
from pathlib import Path

import torch

import make_gemma3
import make_smollm2
from common import number, write_json

OUT = Path(__file__).parent / "examples"
WINDOW, TOP, APART, SKIPPED, CONTEXT, THRESHOLD = 128, 5, 8, 1, 3, 0.5
OCTAVES, LEAST = 32, -16  # bins of |m|: [2^(LEAST + i), 2^(LEAST + i + 1)), the last one open

NEURONS = {
    "smollm2": ((0, 0), (4, 1033), (5, 5), (11, 512), (12, 1033), (17, 77), (22, 916),
                (23, 1400), (29, 1189), (29, 1535)),
    "gemma3_270m": ((0, 0), (1, 1), (3, 777), (5, 500), (8, 2047), (10, 100), (12, 1033),
                    (15, 1500), (16, 3), (17, 5)),
}


def octave(value):
    """Number of the bin of |value|, or none below the first."""
    at = math.frexp(abs(value))[1] - 1 - LEAST if value != 0.0 else -1
    return None if at < 0 else min(at, OCTAVES - 1)


@torch.no_grad()
def coefficients(checkpoint, neurons, window):
    """m (T, neurons) of one window."""
    kept = {}
    handles = [
        checkpoint.parts.down(layer).register_forward_pre_hook(
            lambda module, inputs, layer=layer: kept.update({layer: inputs[0][0].clone()})
        )
        for layer in {layer for layer, _ in neurons}
    ]
    checkpoint.model.model(torch.tensor([window]), use_cache=False)
    for handle in handles:
        handle.remove()
    return torch.stack([kept[layer][:, index] for layer, index in neurons], dim=1)


def strongest(windows, sign):
    """The best of every stretch of APART positions, the TOP of these, earlier ones first among
    equals: [window, position in it, m, m around it]."""
    stretches = {}
    for w, values in enumerate(windows):
        for p, m in enumerate(values):
            if p < SKIPPED or sign * m <= 0:
                continue
            best = stretches.get((w, p // APART))
            if best is None or sign * m > sign * best[2]:
                stretches[(w, p // APART)] = (w, p, m)
    best = sorted(stretches.values(), key=lambda s: (-sign * s[2], s[0], s[1]))[:TOP]
    gaps = [abs(a[2] - b[2]) / abs(a[2]) for a, b in zip(best, best[1:])]
    assert min(gaps, default=1.0) > 1e-5, gaps
    return [
        {
            "window": w,
            "position": p,
            "coefficient": number(m),
            "around": [number(x) for x in windows[w][max(0, p - CONTEXT) : p + CONTEXT + 1]],
        }
        for w, p, m in best
    ]


def golden_of(name, windows, m):
    layer, index = name
    values = [window.tolist() for window in m]
    seen = [x for window in values for x in window[SKIPPED:]]
    histogram = {"negative": [0] * OCTAVES, "small": 0, "positive": [0] * OCTAVES}
    for x in seen:
        at = octave(x)
        if at is None:
            histogram["small"] += 1
        else:
            histogram["positive" if x > 0 else "negative"][at] += 1
    return {
        "neuron": f"{layer}:{index}",
        "positions": len(seen),
        "over": sum(abs(x) > THRESHOLD for x in seen),
        "positive": sum(x > 0 for x in seen),
        "histogram": histogram,
        "largest": strongest(values, 1),
        "smallest": strongest(values, -1),
    }


def examples(name, checkpoint, prefix, ids):
    room = WINDOW - len(prefix)
    windows = [prefix + ids[at : at + room] for at in range(0, len(ids), room)]
    neurons = NEURONS[name]
    m = [coefficients(checkpoint, neurons, window) for window in windows]
    write_json(
        OUT / f"{name}.json",
        {
            "text": f"{name}/perplexity.txt",
            "window": WINDOW,
            "top": TOP,
            "apart": APART,
            "skipped": SKIPPED,
            "context": CONTEXT,
            "threshold": THRESHOLD,
            "prefix": prefix,
            "ids": ids,
            "neurons": [
                golden_of(n, windows, [w[:, i] for w in m]) for i, n in enumerate(neurons)
            ],
        },
    )
    print(name, len(ids), "tokens in", len(windows), "windows", flush=True)


def main():
    torch.set_num_threads(1)
    text = lambda name: (OUT.parent / name / "perplexity.txt").read_text(encoding="utf-8")
    gemma = make_gemma3.Checkpoint(sys.argv[2])
    examples("gemma3_270m", gemma, [2], gemma.ids(text("gemma3_270m"))[1:])
    del gemma
    smollm2 = make_smollm2.Checkpoint(sys.argv[1])
    examples("smollm2", smollm2, [], smollm2.ids(text("smollm2")))


if __name__ == "__main__":
    main()
