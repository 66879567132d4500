# SPDX-License-Identifier: BSD-3-Clause
"""With which compiler and flags a build compiles a source."""

import json
import pathlib
import shlex
import sys

OUTPUTS = ("-MQ", "-MF", "-o")
PRECOMPILED = ("-include-pch", "-include")


def compile_command(build, source, precompiled=False):
    """The words of the command, without its input, its outputs, what keeps them and, unless
    `precompiled`, the header that it begins from. Ends the program where `build` does not compile
    `source`."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if (pathlib.Path(entry["directory"]) / entry["file"]).resolve() != source.resolve():
            continue
        words = shlex.split(entry["command"])
        words = words[words[0] == "ccache" :]
        kept = [word for word in words if word not in ("-MD", "-c", entry["file"])]
        for option in OUTPUTS if precompiled else OUTPUTS + PRECOMPILED:
            if option in kept:
                at = kept.index(option)
                del kept[at : at + 2]
        return kept
    sys.exit(f"{build} does not compile {source}")
