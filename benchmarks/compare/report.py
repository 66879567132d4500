# SPDX-License-Identifier: BSD-3-Clause
"""Writes the measured part of a page of docs; what stands around it stays."""

from pathlib import Path

from rows import GROWTH, ROWS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def marks(part):
    """What stands around a part of the page: `main`, or another name of growths."""
    name = "measured" if part == "main" else f"measured, {part}"
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def figure(number, unit):
    return f"{number:.3g} {unit}" if number < 100 else f"{number:.0f} {unit}"


def ratio(result):
    low, middle, high = (result["ratio"][k] for k in ("min", "median", "max"))
    return f"{low:.2f} / **{middle:.2f}** / {high:.2f}"


def wanted(row, result):
    if row.wanted is None:
        return ""
    missed = "" if result["ratio"]["median"] >= row.wanted else ", missed"
    return f"{row.wanted:g}×{missed}"


RATIO = ["ratio min / median / max"]
REST = ["wanted", "peak RSS, MiB", "same answers"]


def measured_cells(row, result, whole=True):
    """Both figures and their ratio; the `whole` row: also what stands under REST."""
    columns = 3 + (len(REST) if whole else 0)
    if "missing" in result:
        return ["not measured: " + result["missing"], *[""] * (columns - 1)]
    ours, theirs = result["rss"]
    cells = [
        figure(result["xlens"], row.unit),
        figure(result["peer"], row.unit),
        ratio(result),
        wanted(row, result),
        f"{ours:.0f} / {theirs:.0f}",
        ("" if result["right"] else "**no**: ") + result["same"],
    ]
    return cells[:columns]


def table(heading, rows):
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def growth_table(growth, results):
    rows = []
    for label, row in growth.steps:
        cells = measured_cells(row, results[row.name], growth.whole or growth.rss)
        if growth.rss and not growth.whole:
            cells = [*cells[:3], cells[4]]
        rows.append([str(label), *cells])
    heading = [growth.column, "xlens", growth.steps[0][1].peer_name, *RATIO]
    if growth.whole:
        heading += REST
    elif growth.rss:
        heading += [REST[1]]
    return f"{growth.heading}:\n\n{table(heading, rows)}"


def header(results, facts):
    runs = dict.fromkeys(result["run"] for result in results)
    return (
        f"- machine: {facts['machine']}\n- {facts['threads']} threads; {facts['compiler']}\n"
        f"- {facts['versions']}\n" + "\n".join(f"- run: {run}" for run in runs)
    )


def rows_table(results):
    heading = ["row", "work", "peer", "xlens", "peer's", *RATIO, *REST]
    rows = [
        [f"`{row.name}`", row.work, row.peer_name, *measured_cells(row, results[row.name])]
        for row in ROWS
    ]
    return table(heading, rows)


def measured(part, results, facts, picture):
    """The text of a part; nothing if a row of it has no result."""
    growths = [g for g in GROWTH if g.part == part]
    rows = (ROWS if part == "main" else []) + [row for g in growths for _, row in g.steps]
    if any(row.name not in results for row in rows):
        return None
    parts = [header([results[row.name] for row in rows], facts)]
    if part == "main":
        parts += [f"![ratios]({picture})", rows_table(results), "## As the work grows"]
    return "\n\n".join([*parts, *(growth_table(g, results) for g in growths)])


def write(results, facts, page):
    path = DOCS / f"{page}.md"
    text = path.read_text(encoding="utf-8")
    for part in dict.fromkeys(g.part for g in GROWTH):
        begin, end = marks(part)
        new = measured(part, results, facts, f"{page}.svg")
        if new is not None and begin in text:
            before, rest = text.split(begin)
            text = f"{before}{begin}\n\n{new}\n\n{end}{rest.split(end)[1]}"
    path.write_text(text, encoding="utf-8")
