# SPDX-License-Identifier: BSD-3-Clause
"""Golden events of SmolLM2: every event of a short text in two windows, by torch_events.py.

usage: python make_events.py MODEL.gguf     writes smollm2/events.json; README.md has the schema
"""

import sys
from pathlib import Path

import torch

from make_smollm2 import OUT, Checkpoint
from torch_events import FORMS, GROUPS, EventReader

WINDOW, TOKENS = 20, 36
TEXT = Path(__file__).parent / "smollm2" / "perplexity.txt"


def number(x):
    return float(f"{x:.6g}")


def described(read, first, event):
    position, layer, kind, token, other, measured = event
    t, name = position - first, "old" if kind == "elimination" else "new"
    at = lambda key: read[key][layer, t]
    whole, other_whole = ("old", "new") if kind == "elimination" else ("new", "old")
    return {
        "position": position,
        "layer": layer,
        "kind": kind,
        "token": token,
        "other": other,
        "log": [number(x) for x in at(f"{name}_logs").tolist()] if measured else [],
        "shares": [number(at("dominance_share")), number(at("norm_share"))],
        "whole": [number(x) for key in (whole, other_whole) for x in at(f"{key}_whole").tolist()],
        "scores": [
            number(x) for group in GROUPS for x in at(f"{name}_{group}").flatten().tolist()
        ],
    }


def main():
    checkpoint = Checkpoint(sys.argv[1])
    ids = checkpoint.ids(TEXT.read_text(encoding="utf-8"))[:TOKENS]
    reader = EventReader(checkpoint.model, measured=4)
    events, tops = [], []
    for first in range(0, TOKENS, WINDOW):
        read = reader.read(ids[first : first + WINDOW], first)
        events += [described(read, first, e) for e in read["events"]]
        tops += torch.stack((read["old"].T, read["new"].T), 1).tolist()
    lines = ",\n".join("  " + json(e) for e in events)
    settings = {"window": WINDOW, "measured": 4, "sub_updates": 10, "seed": 0, "forms": FORMS}
    (OUT / "events.json").write_text(
        f'{{"ids": {ids},\n "settings": {json(settings)},\n "tops": {json(tops)},\n'
        f' "events": [\n{lines}\n]}}\n'
    )


def json(x):
    import json as module

    return module.dumps(x, separators=(",", ":"))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
