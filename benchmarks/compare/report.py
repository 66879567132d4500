# SPDX-License-Identifier: BSD-3-Clause
"""Writes the measured parts of docs/performance.md from the results of all machines; what stands
around them stays.

usage: report.py, which also draws the picture: after a change of results/ or of what rows are
"""

from pathlib import Path

import plot
import store
from rows import GROWTH, MAIN

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"


def figures(row, result):
    """What is known of xlens' and the peer's."""
    known = [result[who] for who in ("xlens", "peer") if who in result]
    words = [f"{number:.3g}" if number < 100 else f"{number:.0f}" for number in known]
    return f"{', '.join(words)} {row.unit}" if words else ""


def times(number):
    return f"{number:.2f}" if number < 10 else f"{number:.1f}"


def ratio(row, result, extensions):
    """The median, with what is known of its spread; whether it is less than what is wanted."""
    spread = result.get("ratio")
    if spread is None:
        return ""
    out = f"**{times(spread['median'])}**"
    if "min" in spread:
        out += f" ({times(spread['min'])} to {times(spread['max'])})"
    least = row.wanted_with(extensions)
    return out + (", missed" if least is not None and spread["median"] < least else "")


def measured(row, machine):
    """A cell: figures, ratio, and what is wrong with them. Empty where nothing was measured."""
    result = machine.rows.get(row.name, {})
    if "missing" in result:
        return f"not measured: {result['missing']}"
    wrong = "" if result.get("right", True) else f"**answers differ**: {result['same']}"
    cells = [figures(row, result), ratio(row, result, machine.extensions), wrong]
    return "; ".join(cell for cell in cells if cell)


def memory_and_answers(row, machine):
    result = machine.rows.get(row.name, {})
    memory = " / ".join(f"{mebibytes:.0f}" for mebibytes in result.get("rss", []))
    return "; ".join(cell for cell in (memory, result.get("same", "")) if cell)


def wanted(row):
    if row.wanted is None:
        return ""
    return " / ".join(f"{ratio:g}" for ratio in dict.fromkeys(row.wanted))


def table(heading, rows, cell, machines):
    """A line for each (first cells, row) and a column for each machine; lines that no machine has
    anything for are left out."""
    heading = [*heading, *(machine.name for machine in machines)]
    lines = [heading, ["---"] * len(heading)]
    for first, row in rows:
        cells = [cell(row, machine) for machine in machines]
        if any(cells):
            lines.append([*first, *cells])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) if lines[2:] else ""


WANTED = "wanted: AVX2 / AVX-512"


def main_table(machines):
    rows = [([f"`{row.name}`", row.work, row.peer_name, wanted(row)], row) for row in MAIN]
    return table(["row", "work", "peer", WANTED], rows, measured, machines)


def growth_table(growth, machines):
    """With its heading; nothing if none of its rows was measured."""
    some = any(row.wanted for _, row in growth.steps)
    rows = [([str(label), *([wanted(row)] if some else [])], row) for label, row in growth.steps]
    heading = [growth.column, *([WANTED] if some else [])]
    lines = table(heading, rows, measured, machines)
    return f"{growth.heading}:\n\n{lines}" if lines else ""


def memory_table(machines):
    told = [row for growth in GROWTH if growth.told for _, row in growth.steps]
    rows = [([f"`{row.name}`"], row) for row in dict.fromkeys([*MAIN, *told])]
    return table(["row"], rows, memory_and_answers, machines)


def runs(machine):
    """A line for each day and number of rounds, with the commits."""
    found = {}
    for run in sorted({result["run"] for result in machine.rows.values()}):
        day, commit, rounds = run.split(", ", 2)
        found.setdefault((day, rounds), []).append(commit)
    return [f"  - {day}, {rounds}: {', '.join(names)}" for (day, rounds), names in found.items()]


def about(machine):
    """What the figures depend on, as far as it is known."""
    facts = machine.facts
    with_what = [facts[name] for name in ("compiler", "versions") if name in facts]
    lines = [f"- `{machine.name}`: {facts['machine']}; {facts['threads']} threads"]
    if with_what:
        lines.append(f"  - {'; '.join(with_what)}")
    return "\n".join([*lines, *runs(machine)])


def parts(machines):
    """The measured parts of the page, by name."""
    out = {
        "machines": "\n".join(about(machine) for machine in machines),
        "rows": f"![ratios](performance.svg)\n\n{main_table(machines)}",
        "memory": memory_table(machines),
    }
    for part in dict.fromkeys(growth.part for growth in GROWTH):
        tables = [growth_table(growth, machines) for growth in GROWTH if growth.part == part]
        out[part] = "\n\n".join(lines for lines in tables if lines)
    return out


def replaced(text, part, new):
    """The page's text with this between the marks of the part."""
    begin, end = (f"<!-- measured, {part}: {word} -->" for word in ("begin", "end"))
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{PAGE} has no marks of the part {part}")
    return f"{before}{begin}\n\n{new}\n\n{end}{after}"


def write(machines):
    text = PAGE.read_text(encoding="utf-8")
    for part, new in parts(machines).items():
        text = replaced(text, part, new)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(store.machines())
    plot.write(store.machines())
