# SPDX-License-Identifier: BSD-3-Clause
"""Writes the measured part of a page of docs; what stands around it stays."""

from pathlib import Path

from rows import GROWTH, ROWS

DOCS = Path(__file__).resolve().parents[2] / "docs"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


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


def main_row(row, result):
    cells = [f"`{row.name}`", row.work, row.peer_name]
    if "missing" in result:
        cells += ["not measured: " + result["missing"], "", "", "", "", ""]
    else:
        ours, theirs = result["rss"]
        cells += [
            figure(result["xlens"], row.unit),
            figure(result["peer"], row.unit),
            ratio(result),
            wanted(row, result),
            f"{ours:.0f} / {theirs:.0f}",
            ("" if result["right"] else "**no**: ") + result["same"],
        ]
    return cells


def table(heading, rows):
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def growth_table(growth, results):
    rows = []
    for label, row in growth.steps:
        result = results[row.name]
        if "missing" in result:
            rows.append([str(label), "not measured: " + result["missing"], "", ""])
        else:
            rows.append(
                [
                    str(label),
                    figure(result["xlens"], row.unit),
                    figure(result["peer"], row.unit),
                    ratio(result),
                ]
            )
    heading = [growth.column, "xlens", growth.steps[0][1].peer_name, "ratio min / median / max"]
    return f"{growth.heading}:\n\n{table(heading, rows)}"


def measured(results, facts, picture):
    heading = ["row", "work", "peer", "xlens", "peer's", "ratio min / median / max", "wanted"]
    heading += ["peak RSS, MiB", "same answers"]
    rows = [main_row(row, results[row.name]) for row in ROWS if row.name in results]
    runs = dict.fromkeys(result["run"] for result in results.values())
    growths = [g for g in GROWTH if all(row.name in results for _, row in g.steps)]
    parts = [
        f"- machine: {facts['machine']}\n- {facts['threads']} threads; {facts['compiler']}\n"
        f"- {facts['versions']}\n" + "\n".join(f"- run: {run}" for run in runs),
        f"![ratios]({picture})",
        table(heading, rows),
        "## As the work grows",
        *(growth_table(g, results) for g in growths),
    ]
    return "\n\n".join(parts)


def write(results, facts, page):
    path = DOCS / f"{page}.md"
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    text = f"{before}{BEGIN}\n\n{measured(results, facts, f'{page}.svg')}\n\n{END}{after}"
    path.write_text(text, encoding="utf-8")
