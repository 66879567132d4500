"""Fails when a source file is in no list of its meson.build, or a header is reached by no test.

lists.py SOURCE_FOLDER FILE...: the files (relative to the folder) that the build knows.

A header is reached by the tests that include it, themselves or through other headers, and by the
program, which tests/cli runs. xlens.hpp, which includes them all, does not count.
"""

import pathlib
import re
import sys

WATCHED = [
    "apps/xlens/**/*.cpp",
    "benchmarks/**/*.cpp",
    "examples/*.cpp",
    "include/**/*.hpp",
    "src/*.cpp",
    "tests/**/*.cpp",
]



def not_in_a_list(source, known):
    present = {str(path.relative_to(source)) for glob in WATCHED for path in source.glob(glob)}
    for name in sorted(present - known):
        # Headers are found when the build is configured; everything else is listed by hand.
        advice = "configure again" if name.endswith(".hpp") else "list it in its meson.build"
        yield f"{name}: not part of the build: {advice}"


def headers_of(path):
    """The headers of ours that a file includes, as they are written."""
    return re.findall(r"^#include <(xlens/[^>]+)>", path.read_text(encoding="utf-8"), re.M)


def not_reached(source):
    include = source / "include"
    headers = {str(path.relative_to(include)) for path in include.glob("xlens/*/**/*.?pp")}
    readers = [path for folder in ("tests", "apps") for path in (source / folder).rglob("*.?pp")]
    waiting = [name for path in readers for name in headers_of(path)]
    reached = set()
    while waiting:
        name = waiting.pop()
        if name in headers - reached:
            reached.add(name)
            waiting += headers_of(include / name)
    for name in sorted(headers - reached):
        yield f"include/{name}: no test includes it, nor does a header that one includes"


def main():
    source = pathlib.Path(sys.argv[1])
    known = {str(pathlib.PurePosixPath(name)) for name in sys.argv[2:]}
    faults = [*not_in_a_list(source, known), *not_reached(source)]
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
