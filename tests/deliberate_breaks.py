"""Each test of the sources themselves must be able to fail: deliberate_breaks.py

Makes small trees with one break each, runs includes.py or columns.py on it, and expects a line that
names file, line and what is wrong; and on the tree without a break, nothing.
"""

import pathlib
import subprocess
import sys
import tempfile

ROOMS = """# Hacking

## The rooms

```
core/       errors
kernels/    products
reference/  sees core: plain loops
nn/         layers
```
"""
TREE = {
    "docs/hacking.md": ROOMS,
    "include/xlens/core/error.hpp": "#pragma once\n",
    "include/xlens/core/simd.hpp": "#include <xsimd/xsimd.hpp>\n",
    "include/xlens/core/xtensor.hpp": "#include <xtensor/xtensor.hpp>\n",
    "include/xlens/kernels/product.hpp": '#include "../core/error.hpp"\n',
    "include/xlens/reference/product.hpp": "#include <xlens/core/error.hpp>\n",
    "include/xlens/nn/layer.hpp": "#include <xlens/kernels/product.hpp>\n",
    "include/xlens/nn/layer.ipp": "#include <xlens/core/error.hpp>\n",
    "include/xlens/nn/parts/norm.hpp": "#include <xlens/core/error.hpp>\n",
    "include/xlens/xlens.hpp": "#include <xlens/nn/layer.hpp>\n",
}

# (the test, what is broken, {file: its new text, None: removed}, what must be said)
BREAKS = [
    ("includes", "nothing", {}, []),
    (
        "includes",
        "an include that goes up",
        {"include/xlens/core/error.hpp": "#pragma once\n\n#include <xlens/nn/layer.hpp>\n"},
        [
            "include/xlens/core/error.hpp:3: core includes nn/layer.hpp, but nn stands below core"
            " in docs/hacking.md",
            "include/xlens/core/error.hpp:3: core and nn include each other:",
        ],
    ),
    (
        "includes",
        "the same, in a file that headers end with, by a path from there",
        {"include/xlens/core/error.ipp": '#  include "../nn/layer.hpp"\n'},
        [
            "include/xlens/core/error.ipp:1: core includes nn/layer.hpp, but nn stands below core",
            "include/xlens/core/error.ipp:1: core and nn include each other:",
        ],
    ),
    (
        "includes",
        "two rooms that include each other",
        {"include/xlens/kernels/product.hpp": "\n#include <xlens/nn/layer.hpp>\n"},
        [
            "include/xlens/kernels/product.hpp:2: kernels includes nn/layer.hpp, but nn stands",
            "include/xlens/kernels/product.hpp:2: kernels and nn include each other:"
            " include/xlens/nn/layer.hpp:1",
        ],
    ),
    (
        "includes",
        "two folders of a room that include each other",
        {
            "include/xlens/nn/layer.hpp": "#include <xlens/nn/parts/norm.hpp>\n",
            "include/xlens/nn/parts/norm.hpp": "#include <xlens/nn/layer.hpp>\n",
        },
        [
            "include/xlens/nn/layer.hpp:1: nn and nn/parts include each other:"
            " include/xlens/nn/parts/norm.hpp:1",
        ],
    ),
    (
        "includes",
        "a room that the list lacks",
        {"include/xlens/lens/lens.hpp": "#include <xlens/core/error.hpp>\n"},
        ["include/xlens/lens: a room without a line in docs/hacking.md"],
    ),
    (
        "includes",
        "a line without a room",
        {"docs/hacking.md": ROOMS.replace("nn/ ", "lens/  what is not there\nnn/ ")},
        ["docs/hacking.md: lens/ is listed, but there is no such room in include/xlens/"],
    ),
    (
        "includes",
        "an include of a room that does not exist",
        {"include/xlens/nn/layer.hpp": "#include <xlens/lens/lens.hpp>\n"},
        ["include/xlens/nn/layer.hpp:1: nn includes lens/lens.hpp, but lens is no room"],
    ),
    (
        "includes",
        "no list",
        {"docs/hacking.md": "# Hacking\n"},
        ["docs/hacking.md: expected a section '## The rooms' with a code block"],
    ),
    (
        "includes",
        "a line that is none",
        {"docs/hacking.md": ROOMS.replace("nn/ ", "and then\nnn/ ")},
        ["docs/hacking.md: expected 'room/  what it holds', got 'and then'"],
    ),
    (
        "includes",
        "a room that sees what stands below it",
        {"docs/hacking.md": ROOMS.replace("sees core:", "sees core, nn:")},
        ["docs/hacking.md: reference sees nn, which does not stand above it"],
    ),
    (
        "includes",
        "the reference, which sees less than what stands above it",
        {"include/xlens/reference/product.hpp": "#include <xlens/kernels/product.hpp>\n"},
        [
            "include/xlens/reference/product.hpp:1: reference includes kernels/product.hpp,"
            " but sees core alone",
        ],
    ),
    (
        "includes",
        "a header that includes the reference, and the header of all headers alike",
        {
            "include/xlens/nn/layer.hpp": "#include <xlens/reference/product.hpp>\n",
            "include/xlens/xlens.hpp": "#include <xlens/reference/product.hpp>\n",
        },
        [
            "include/xlens/nn/layer.hpp:1: nn includes reference/product.hpp, but reference is for",
            "include/xlens/xlens.hpp:1: reference is for tests alone",
        ],
    ),
    (
        "includes",
        "xtensor and xsimd elsewhere",
        {
            "include/xlens/core/error.hpp": "#include <xsimd/xsimd.hpp>\n",
            "include/xlens/nn/layer.hpp": "#include <xtensor/xview.hpp>\n",
        },
        [
            "include/xlens/core/error.hpp:1: xsimd is included by include/xlens/core/simd.hpp",
            "include/xlens/nn/layer.hpp:1: xtensor is included by include/xlens/core/xtensor.hpp",
        ],
    ),
    (
        "columns",
        "nothing: characters are counted, not bytes; addresses, documents and data are not",
        {
            "docs/page.md": "x" * 120,
            "tests/golden/data.json": "x" * 120,
            "build/left.cpp": "x" * 120,
            "apps/a.cpp": f"// {'─' * 97}\n// https://example.org/{'x' * 100}\n",
        },
        [],
    ),
    (
        "columns",
        "a line of 101 columns: code, a comment, a script without a suffix, a style sheet",
        {
            "apps/a.cpp": f"int a;\n// {'x' * 98}\n",
            "scripts/run": f"#!/bin/sh\n# {'é' * 99}\n",
            "web/page.css": "x" * 101,
        },
        ["apps/a.cpp:2: 101 columns, expected 100", "scripts/run:2: 101", "web/page.css:1: 101"],
    ),
]


def run(test, changes):
    """What the test says of the tree with these changes, a line each, and its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (TREE | changes).items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        script = pathlib.Path(__file__).with_name(test + ".py")
        result = subprocess.run(
            [sys.executable, script, folder], text=True, stdout=subprocess.PIPE
        )
        return result.stdout.splitlines(), result.returncode


def main():
    failed = 0
    for test, what, changes, expected in BREAKS:
        said, status = run(test, changes)
        found = [any(line.startswith(text) for line in said) for text in expected]
        # Of every break just these lines; where there is no list, all rooms are missing too.
        others = what != "no list" and len(said) != len(expected)
        if not all(found) or others or status != (1 if expected else 0):
            failed += 1
            print(f"{test}: {what}: status {status}, expected {expected}, got {said}")
    sys.exit(1 if failed else 0)


main()
