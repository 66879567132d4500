"""The workflows of docs/experiments.md: the table that numbers them, and the shell and Python of
their sections. Blocks that are marked as neither only show something.
"""

import re
import shlex
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
TABLE = re.compile(r"^\| (\d+) \|.*\]\(#([\w-]+)\) \|$", re.M)
HEADING = re.compile(r"^## (.*)$", re.M)
BLOCK = re.compile(r"^( *)```(sh|python)\n(.*?)^ *```$", re.M | re.S)
# What stands in the place of SmolLM2's neurons and heads, of which Gemma 3 has fewer.
INSTEAD = {
    "smollm2": {},
    "gemma3_270m": {"22:916,29:1189": "12:1033,17:5", "23:4": "11:2"},
}


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def dedented(code, indent):
    return "".join(line.removeprefix(indent) for line in code.splitlines(keepends=True))


class Page:
    """What the page says to do with the model of this name (a folder of tests/golden)."""

    def __init__(self, name):
        text = (SOURCE / "docs/experiments.md").read_text(encoding="utf-8")
        first, *rest = HEADING.split(text)
        self.sections = {int(number): at for number, at in TABLE.findall(first)}
        self.blocks = {
            anchor(heading): [
                (language, dedented(code, indent)) for indent, language, code in BLOCK.findall(body)
            ]
            for heading, body in zip(rest[::2], rest[1::2])
        }
        self.name = name

    def python(self, section):
        return [code for language, code in self.blocks[section] if language == "python"]

    def commands(self, code):
        """The lines of a block of shell, those that end in \\ joined with the next."""
        code = re.sub(r"\\\n\s*", "", code)
        for ours, theirs in INSTEAD[self.name].items():
            code = code.replace(ours, theirs)
        return [line.strip() for line in code.splitlines() if line.strip()]

    def values(self, section, subcommand, flag):
        """What stands behind a flag of this subcommand, of each command that has it."""
        shell = "".join(code for language, code in self.blocks[section] if language == "sh")
        lines = [shlex.split(line) for line in self.commands(shell)]
        return [w[w.index(flag) + 1] for w in lines if w[:2] == ["xlens", subcommand] and flag in w]

    def value(self, section, subcommand, flag):
        """The one value; several commands say the same."""
        (value,) = set(self.values(section, subcommand, flag))
        return value
