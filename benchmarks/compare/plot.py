# SPDX-License-Identifier: BSD-3-Clause
"""Draws the ratios, for a page of docs."""

import math
from html import escape
from pathlib import Path

from rows import ROWS

DOCS = Path(__file__).resolve().parents[2] / "docs"
WIDTH, LEFT, RIGHT, TOP, STEP, BAR = 900, 300, 70, 62, 26, 14

STYLE = """
  text { font: 13px sans-serif; fill: #24292f; }
  .small { font-size: 11px; fill: #57606a; }
  .grid { stroke: #d0d7de; } .one { stroke: #24292f; stroke-width: 1.5; }
  .reached { fill: #5b9bd5; } .missed { fill: #d9a05b; } .free { fill: #a5adb6; }
  .whisker { stroke: #24292f; stroke-width: 1.2; } .wanted { stroke: #c2255c; stroke-width: 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9da7b3; }
    .grid { stroke: #3d444d; } .one, .whisker { stroke: #e6edf3; }
    .reached { fill: #3f7fb8; } .missed { fill: #b07a35; } .free { fill: #6e7681; }
    .wanted { stroke: #ff6b9d; }
  }
"""


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
    return f'<line class="wanted" x1="{x:.1f}" y1="{y - 3}" x2="{x:.1f}" y2="{y + BAR + 3}"/>'


def whisker(left, right, y):
    path = f"M{left:.1f} {y - 4}v8m0 -4H{right:.1f}m0 -4v8"
    return f'<path class="whisker" fill="none" d="{path}"/>'


def kind(row, result):
    if row.wanted is None:
        return "free"
    return "reached" if result["ratio"]["median"] >= row.wanted else "missed"


def bar(row, result, y, at):
    low, middle, high = (result["ratio"][k] for k in ("min", "median", "max"))
    left, right = sorted((at(1), at(middle)))
    out = [text(LEFT - 12, y + 12, f"{row.name} / {row.peer_name}", "end")]
    out.append(rectangle(left, y, right - left, kind(row, result)))
    if row.wanted:
        out.append(mark(at(row.wanted), y))
    out.append(whisker(at(low), at(high), y + BAR // 2))
    out.append(text(WIDTH - RIGHT + 12, y + 12, f"{middle:.2f}×"))
    return out


def legend(x, y):
    out = [mark(x + 4, y), text(x + 12, y + 11, "wanted", kind="small")]
    for i, (name, words) in enumerate(
        (("reached", "reached"), ("missed", "missed"), ("free", "nothing wanted"))
    ):
        left = x + 80 + 90 * i
        out += [rectangle(left, y, 20, name), text(left + 26, y + 11, words, kind="small")]
    return out


def picture(rows):
    """The drawing of (row, result)s."""
    ratios = [ratio for _, result in rows for ratio in result["ratio"].values()]
    at = Scale(ratios + [row.wanted for row, _ in rows if row.wanted])
    bottom = TOP + STEP * len(rows)
    parts = [text(LEFT, 20, "How many times as fast as the peer (log scale; whiskers: min to max)")]
    parts += legend(LEFT, 28)
    for tick in at.ticks():
        parts.append(vertical(at(tick), bottom, "one" if tick == 1 else "grid"))
        parts.append(text(at(tick), bottom + 16, f"{tick:g}×", "middle", "small"))
    for i, (row, result) in enumerate(rows):
        parts += bar(row, result, TOP + STEP * i + 6, at)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 28}" '
        f'width="{WIDTH}" height="{bottom + 28}">\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )


def write(results, page):
    rows = [(row, results[row.name]) for row in ROWS if "ratio" in results.get(row.name, {})]
    (DOCS / f"{page}.svg").write_text(picture(rows), encoding="utf-8")
