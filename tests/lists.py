"""Fails when a source file of the tests, examples or benchmarks is in no list of its meson.build.

lists.py SOURCE_FOLDER FILE...: the files (relative to the folder) that the build knows.
"""

import pathlib
import sys

WATCHED = [
    "apps/xlens/*.cpp",
    "benchmarks/**/*.cpp",
    "examples/*.cpp",
    "include/**/*.hpp",
    "tests/**/*.cpp",
]

source = pathlib.Path(sys.argv[1])
known = {str(pathlib.PurePosixPath(name)) for name in sys.argv[2:]}
present = {str(path.relative_to(source)) for pattern in WATCHED for path in source.glob(pattern)}
forgotten = sorted(present - known)
for name in forgotten:
    # Headers are found when the build is configured; everything else is listed by hand.
    advice = "configure again" if name.endswith(".hpp") else "list it in its meson.build"
    print(f"{name}: not part of the build: {advice}")
sys.exit(1 if forgotten else 0)
