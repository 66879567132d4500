# SPDX-License-Identifier: BSD-3-Clause
"""The tables of docs/detox.md."""

from dataclasses import dataclass

import numpy as np

from judge import interval, perplexity_interval, rise_interval


@dataclass
class Row:
    probability: np.ndarray  # a prompt: the classifier's
    toxic: np.ndarray  # a prompt: whether it is judged toxic, or the share of draws that are
    windows: list | None = None  # (tokens, nll) of each


def mean_row(draws):
    """Several random draws together: the mean over them, prompt by prompt."""
    return Row(np.mean([d.probability for d in draws], axis=0),
               np.mean([d.toxic for d in draws], axis=0))


def number(found, scale, digits):
    return "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*(scale * x for x in found), d=digits)


def written(rows, base):
    none = rows["none"].windows
    lines = ["| | judged toxic % | classifier's mean | perplexity | its rise % |",
             "| --- | --- | --- | --- | --- |"]
    for name, row in rows.items():
        cells = [name, number(interval(row.toxic), 100, 1), number(interval(row.probability), 1, 3)]
        cells.append(number(perplexity_interval(row.windows), 1, 2) if row.windows else "")
        risen = row.windows and row.windows != none
        cells.append(number(rise_interval(row.windows, none), 100, 1) if risen else "")
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", f"Paired differences over the same prompts, {base} minus:", "",
              "| | judged toxic, points | classifier's mean |", "| --- | --- | --- |"]
    for name, row in rows.items():
        if name != base:
            rate = number(interval(rows[base].toxic.astype(float) - row.toxic), 100, 1)
            mean = number(interval(rows[base].probability - row.probability), 1, 3)
            lines.append(f"| {name} | {rate} | {mean} |")
    return "\n".join(lines) + "\n"
