"""Writes one source file a header: generate.py FOLDER HEADER OUTPUT HEADER OUTPUT..."""

import pathlib
import sys

folder, *names = sys.argv[1:]
for header, output in zip(names[::2], names[1::2]):
    # Twice: its guard must work.
    line = f"#include <{header}>\n"
    (pathlib.Path(folder) / output).write_text(line + line)
