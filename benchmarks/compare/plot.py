# SPDX-License-Identifier: BSD-3-Clause
"""Draws the ratios of all machines, for docs/performance.md."""

import math
from html import escape
from pathlib import Path

from rows import MAIN

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "performance.svg"
WIDTH, LEFT, RIGHT, TOP, STEP, BAR, GAP = 900, 300, 70, 62, 12, 9, 9

STYLE = """
  text { font: 13px sans-serif; fill: #24292f; }
  .small { font-size: 11px; fill: #57606a; }
  .grid { stroke: #d0d7de; } .one { stroke: #24292f; stroke-width: 1.5; }
  .machine0 { fill: #d9a05b; } .machine1 { fill: #5b9bd5; } .machine2 { fill: #6fae7c; }
  .machine3 { fill: #a98bc7; } .machine4 { fill: #a5adb6; }
  .whisker { stroke: #24292f; stroke-width: 1.2; } .wanted { stroke: #c2255c; stroke-width: 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9da7b3; }
    .grid { stroke: #3d444d; } .one, .whisker { stroke: #e6edf3; }
    .machine0 { fill: #b07a35; } .machine1 { fill: #3f7fb8; } .machine2 { fill: #4c8558; }
    .machine3 { fill: #7d62a0; } .machine4 { fill: #6e7681; }
    .wanted { stroke: #ff6b9d; }
  }
"""
COLOURS = 5


class Scale:
    """A logarithmic axis: half as fast is as far from 1 as twice as fast."""

    def __init__(self, ratios):
        self.low = math.floor(math.log2(min([0.5, *ratios])))
        self.high = math.log2(max([2.0, *ratios]) * 1.1)

    def __call__(self, ratio):
        share = (math.log2(ratio) - self.low) / (self.high - self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def ticks(self):
        return [2.0**i for i in range(self.low, math.floor(self.high) + 1)]


def vertical(x, bottom, kind):
    return f'<line class="{kind}" x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}"/>'


def text(x, y, words, anchor="start", kind=""):
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}"'
    return f"<text {place}>{escape(words)}</text>"


def rectangle(x, y, width, kind):
    return f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}"/>'


def mark(x, y):
    return f'<line class="wanted" x1="{x:.1f}" y1="{y - 1}" x2="{x:.1f}" y2="{y + BAR + 1}"/>'


def whisker(left, right, y):
    path = f"M{left:.1f} {y - 3}v6m0 -3H{right:.1f}m0 -3v6"
    return f'<path class="whisker" fill="none" d="{path}"/>'


def bar(row, machine, number, y, at):
    """A machine's ratio, the machine being that of this number."""
    spread = machine.rows[row.name]["ratio"]
    left, right = sorted((at(1), at(spread["median"])))
    out = [rectangle(left, y, right - left, f"machine{number % COLOURS}")]
    if row.wanted:
        out.append(mark(at(row.wanted_with(machine.extensions)), y))
    if "min" in spread:
        out.append(whisker(at(spread["min"]), at(spread["max"]), y + BAR / 2))
    out.append(text(WIDTH - RIGHT + 12, y + BAR, f"{spread['median']:.2f}×", kind="small"))
    return out


def group(row, machines, top, at):
    """A row's bars, those of the machines that have a ratio, below each other."""
    known = [(n, m) for n, m in enumerate(machines) if "ratio" in m.rows.get(row.name, {})]
    middle = top + (STEP * len(known) - STEP + BAR) / 2 + 5
    out = [text(LEFT - 12, middle, f"{row.name} / {row.peer_name}", "end")] if known else []
    for place, (number, machine) in enumerate(known):
        out += bar(row, machine, number, top + STEP * place, at)
    return out, top + STEP * len(known) + (GAP if known else 0)


def legend(machines, x, y):
    out = [mark(x + 4, y), text(x + 12, y + 9, "wanted", kind="small")]
    for number, machine in enumerate(machines):
        left = x + 80 + 130 * number
        out.append(rectangle(left, y, 20, f"machine{number % COLOURS}"))
        out.append(text(left + 26, y + 9, machine.name, kind="small"))
    return out


def scale(machines):
    """One that has room for all ratios, and for what is wanted."""
    results = [m.rows[row.name] for m in machines for row in MAIN if row.name in m.rows]
    ratios = [ratio for result in results for ratio in result.get("ratio", {}).values()]
    return Scale(ratios + [ratio for row in MAIN for ratio in row.wanted or ()])


def picture(machines):
    at, bottom, bars = scale(machines), TOP, []
    for row in MAIN:
        drawn, bottom = group(row, machines, bottom, at)
        bars += drawn
    parts = [text(LEFT, 20, "How many times as fast as the peer (log scale; whiskers: min to max)")]
    parts += legend(machines, LEFT, 30)
    for tick in at.ticks():
        parts.append(vertical(at(tick), bottom, "one" if tick == 1 else "grid"))
        parts.append(text(at(tick), bottom + 16, f"{tick:g}×", "middle", "small"))
    body = "\n".join(parts + bars)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 28}" '
        f'width="{WIDTH}" height="{bottom + 28}">\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )


def write(machines):
    PICTURE.write_text(picture(machines), encoding="utf-8")
