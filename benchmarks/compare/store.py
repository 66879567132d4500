# SPDX-License-Identifier: BSD-3-Clause
"""What was measured on which machine: results/<machine>.json, with the machine's facts and a
result a row."""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "results"


@dataclass
class Machine:
    name: str
    facts: dict  # as machine.py gives them
    rows: dict  # by name: what measure() of compare.py gives, and the "run" that it is of

    @property
    def extensions(self):
        return self.facts["extensions"]


def path(name):
    return FOLDER / f"{name}.json"


def read(name):
    """The machine of this name; None if it has no file yet."""
    if not path(name).exists():
        return None
    data = json.loads(path(name).read_text(encoding="utf-8"))
    return Machine(name, data["facts"], data["rows"])


def machines():
    """All of them: AVX2 first."""
    found = [read(file.stem) for file in FOLDER.glob("*.json")]
    return sorted(found, key=lambda machine: (machine.extensions, machine.name))


def mismatch(name, facts):
    """What these facts contradict in the machine's file; nothing if they can be its own."""
    known = read(name)
    if known is None:
        return ""
    for key in ("extensions", "threads"):
        if known.facts[key] != facts[key]:
            return f"{path(name)} is of {key} {known.facts[key]}, not {facts[key]}"
    return ""


def merge(name, facts, rows):
    """These results in the place of older ones, unless they are "missing" and the older are not."""
    known = read(name) or Machine(name, facts, {})
    for row, result in rows.items():
        if "missing" not in result or "missing" in known.rows.get(row, {"missing": ""}):
            known.rows[row] = result
    data = {"facts": facts, "rows": dict(sorted(known.rows.items()))}
    FOLDER.mkdir(exist_ok=True)
    path(name).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
