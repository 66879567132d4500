# SPDX-License-Identifier: BSD-3-Clause
"""golden.json of one checkpoint: what it computes for a fixed random sequence.

A subject has run(ids) -> scores (T, V) and records (per layer before, after, m, ffn, each (T, .)),
edited(ids, layer, index, value, positions) -> scores, lens(residual) -> scores (V), and
values(layer) -> (F, D).
"""

import torch

from common import DOMINANT, dominant, greedy, numbers, smallest_gap, top_tokens

TOKENS, POSITIONS, GREEDY = 24, (7, 15, 23), 8
SMALLEST_GAP, FEWEST_TOKENS = 2e-4, 3


def layer_golden(subject, layer, record, with_output):
    norms = subject.values(layer).norm(dim=1)
    m = record["m"][-1]
    golden = {
        "layer": layer,
        "before": top_tokens(subject.lens(record["before"][-1]), 5),
        "after": top_tokens(subject.lens(record["after"][-1]), 5),
        "dominant": dominant(m, norms),
    }
    if with_output:
        golden["coefficients"] = numbers(m)
        golden["ffn_output"] = numbers(record["ffn"][-1])
        golden["residual_before"] = numbers(record["before"][-1])
        golden["residual_after"] = numbers(record["after"][-1])
    return golden


def check_gaps(subject, logits, records):
    """Rankings must not depend on rounding: the nearest neighbours in any list are this far
    apart."""
    gaps = [smallest_gap(logits[p], 5) for p in POSITIONS]
    for layer, record in enumerate(records):
        gaps += [smallest_gap(subject.lens(record[k][-1]), 5) for k in ("before", "after")]
        gaps.append(
            smallest_gap(record["m"][-1].abs() * subject.values(layer).norm(dim=1), DOMINANT)
        )
    return min(gaps) > SMALLEST_GAP


def edits(subject, ids, records):
    """Logits after one coefficient is set: everywhere to 3, and at the last position to 0."""
    out = []
    last = len(records) - 1
    for layer, value, positions in ((0, 3.0, "all"), (last, 0.0, "last")):
        norms = subject.values(layer).norm(dim=1)
        index = dominant(records[layer]["m"][-1], norms)[0 if positions == "last" else 3]["neuron"]
        logits = subject.edited(ids, layer, index, value, positions)
        out.append(
            {
                "layer": layer,
                "neuron": index,
                "value": value,
                "positions": positions,
                "logits": [{"position": p, "values": numbers(logits[p])} for p in POSITIONS],
            }
        )
    return out


@torch.no_grad()
def golden_of(name, architecture, subject, ids, scores="logits"):
    """The golden of a model, or None where two neighbours in a ranking are too close to tell apart,
    or where the continuation repeats itself too much to show an error."""
    logits, records = subject.run(ids)
    continuation = greedy(lambda x: subject.run(x)[0], ids, GREEDY)
    if not check_gaps(subject, logits, records) or len(set(continuation)) < FEWEST_TOKENS:
        return None
    return {
        "model": name,
        "architecture": architecture,
        "scores": scores,
        "ids": ids,
        "logits": [{"position": p, "values": numbers(logits[p])} for p in POSITIONS],
        "layers": [layer_golden(subject, i, r, i == 1) for i, r in enumerate(records)],
        "greedy": continuation,
        "edited": edits(subject, ids, records),
    }


def random_ids(vocabulary, seed):
    return torch.randint(
        2, vocabulary, (TOKENS,), generator=torch.Generator().manual_seed(seed)
    ).tolist()
