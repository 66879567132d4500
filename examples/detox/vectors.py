# SPDX-License-Identifier: BSD-3-Clause
"""Which value vectors are set: found by concept search, drawn at random, or the paper's. Standard
library only."""

import json
import random
from pathlib import Path

from worker import quit_with

PAPER = Path(__file__).with_name("paper.json")  # the authors' ten, set to 3 before the activation
# What the authors' projections of some of them show (their repository, toxic_gpt2.ipynb).
PAPER_TOP = {
    "13:1852": ["transparency", "disclosure", "clearer", "humility"],
    "16:461": ["should", "ought"],
    "17:2920": ["thank"],
    "18:1890": ["thanks"],
    "22:3769": ["fit", "free", "legal"],
}
TRIES = 12  # random vectors looked at for each that is wanted


def recipe(values):
    """Sets the coefficient of each of some neurons: {"L:I": m}."""
    steps = []
    for m in sorted(set(values.values())):
        neurons = [n for n, value in values.items() if value == m]
        steps.append({"do": "set", "neurons": neurons, "value": m})
    return json.dumps({"interventions": steps})


def search(worker, words, count, known):
    """{neuron: score} of the `count` vectors that say these words most clearly, some known ones
    left out. The score is the mean z-score of the words' tokens among all tokens; a vector that
    suppresses them promotes them with m < 0, hence --either."""
    found = worker.xlens("search", "--words", words, "--normalise", "spread", "--either",
                         "--limit", count + len(known))
    hits = {h["neuron"]: h["score"] for h in found["hits"] if h["neuron"] not in known}
    return dict(list(hits.items())[:count])


def promoted(ends, sign):
    return ends["promotes" if sign > 0 else "suppresses"]


def harmless_vectors(worker, draw, chosen, judge):
    """As many vectors of the same layers with the same coefficients {"L:I": m}, drawn at random
    among those whose 30 top tokens the judge finds harmless (the paper's "API graded")."""
    width = worker.xlens("info")["inner_width"]
    generator = random.Random(draw)
    drawn = [(name, [f"{name.split(':')[0]}:{generator.randrange(width)}" for _ in range(TRIES)])
             for name in chosen]
    ends = worker.ends([c for _, candidates in drawn for c in candidates], 30, "folded")
    out = {}
    for name, candidates in drawn:
        m = chosen[name]
        for candidate in candidates:
            text = " ".join(t.strip() for t in promoted(ends[candidate], m))
            if candidate not in chosen | out and judge([text])[0][0] < 0.1:
                out[candidate] = m
                break
        else:
            quit_with(f"random vectors: none of {TRIES} of layer {name.split(':')[0]} is harmless")
    return out


def check_paper_vectors(worker):
    """Fails unless the projections of the paper's vectors show the published top tokens."""
    found = worker.ends(list(PAPER_TOP), 30, "raw")
    for name, tokens in PAPER_TOP.items():
        shown = [t.strip().lower() for t in found[name]["promotes"]]
        missing = [t for t in tokens if t not in shown]
        if missing:
            quit_with(f"{worker.model}: value vector {name}: expected {', '.join(missing)} among "
                      f"its 30 top tokens, got {', '.join(shown[:8])}, ..: this is not the paper's "
                      "gpt2-medium")
