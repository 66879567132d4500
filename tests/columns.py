"""Fails when a line of the sources is longer than 100 columns.

columns.py SOURCE_FOLDER

Looked at: C++, Python, shell, Meson, CMake, CSS, JavaScript and HTML, comments included. A column
is a character, not a byte. Not looked at: documents, whose tables cannot be broken, and data. A
line that is too long only for an address (https://...), which cannot be broken either, is fine.
"""

import os
import pathlib
import re
import sys

COLUMNS = 100
SUFFIXES = set(".cpp .hpp .ipp .h .py .sh .css .js .mjs .html .cmake .in".split())
NAMES = {"meson.build", "meson_options.txt", "CMakeLists.txt", "Makefile"}
# Folders that are no sources: what builds and tools leave behind.
LEFT_OUT = re.compile(r"\..*|__pycache__|node_modules")
LEFT_OUT_AT_THE_TOP = re.compile(r"build.*|install.*|subprojects")


def is_source(path):
    if path.suffix in SUFFIXES or path.name in NAMES:
        return True
    if path.suffix:
        return False
    with path.open("rb") as file:  # A script is known by its first line.
        return file.read(2) == b"#!"


def sources(folder):
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not LEFT_OUT.fullmatch(name))
        if pathlib.Path(here) == folder:
            folders[:] = [name for name in folders if not LEFT_OUT_AT_THE_TOP.fullmatch(name)]
        yield from (path for name in sorted(files) if is_source(path := pathlib.Path(here) / name))


def check(source):
    for path in sources(source):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            if len(re.sub(r"https?://\S+", "", line)) > COLUMNS:
                name = path.relative_to(source)
                yield f"{name}:{number}: {len(line)} columns, expected {COLUMNS} at most"


if __name__ == "__main__":
    found = list(check(pathlib.Path(sys.argv[1])))
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)
