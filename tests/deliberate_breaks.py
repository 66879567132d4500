"""Each test of the sources themselves must be able to fail: deliberate_breaks.py BUILD_FOLDER

Makes small trees with one break each, runs includes.py, columns.py or documents/run.py on it, and
expects a line that names file, line and what is wrong; and on the tree without a break, nothing.
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

PAGE = """# Page

```cpp
#include <vector>
const std::vector<int> list(model, 1);
```

```cpp
/// A class with what a local class cannot have.
struct counter {
    static constexpr int limit = 3;
    template <class T> int of(T t) { return t ? limit : 0; }
};
const int size = counter().of(list_length(list));
const int list = size;
for (int i = 0; i < list; ++i) { model; }
```

```cpp
int twice(int n) {
    return 2 * n;
}
```

```cpp
twice(counter::limit + list);   // '} in a comment
```
"""
PROGRAM = """# xlens

Read [the page](docs/page.md#page).

```cpp
#include <string>

int main() {
    std::string text;
}
```

## Start

```
./demo    shows
./check   tests
```

## Then
"""
DOCUMENTS = {
    "docs/page.md": PAGE.replace("list_length(list)", "list.size()"),
    "README.md": PROGRAM,
    "demo": "#!/bin/sh\n",
    "check": "#!/bin/sh\n",
    "tests/documents/preamble.hpp": "namespace document { extern const int model; }\n",
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
            "include/xlens/nn/norm.hpp": "#include <immintrin.h>\n",
        },
        [
            "include/xlens/core/error.hpp:1: xsimd is included by include/xlens/core/simd.hpp",
            "include/xlens/nn/layer.hpp:1: xtensor is included by include/xlens/core/xtensor.hpp",
            "include/xlens/nn/norm.hpp:1: immintrin.h is included by include/xlens/core/halves",
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


DOCUMENT_BREAKS = [
    ("nothing", {}, []),
    ("a fragment", {"docs/page.md": PAGE}, ["docs/page.md:14:", "list_length"]),
    (
        "a fragment's type",
        {"docs/page.md": PAGE.replace("int limit", "integer limit")},
        ["docs/page.md:11:"],
    ),
    (
        "a declaration",
        {"docs/page.md": PAGE.replace("return 2 * n;", "return 2 * m;")},
        ["docs/page.md:21:"],
    ),
    (
        "an include",
        {"docs/page.md": PAGE.replace("<vector>", "<no_such_header>")},
        ["docs/page.md:4:"],
    ),
    (
        "a program without an include",
        {"README.md": PROGRAM.replace("<string>", "<cstddef>")},
        ["README.md:9:"],
    ),
    (
        "a link to a file",
        {"README.md": PROGRAM.replace("docs/page.md#page", "docs/no.md")},
        ["README.md:3: a link to docs/no.md, which is not there"],
    ),
    (
        "a link to a heading",
        {"README.md": PROGRAM.replace("#page", "#pages")},
        ["README.md:3: a link to docs/page.md#pages, which has no such heading"],
    ),
    (
        "a file that the text names",
        {"README.md": PROGRAM.replace("Read", "Read nn/layer.hpp, nn/layers.hpp and")},
        ["README.md:3: nn/layers.hpp is not there"],
    ),
    (
        "a command",
        {"README.md": PROGRAM.replace("./check ", "./check\n./checks ")},
        ["README.md: ./checks: a command that is not there"],
    ),
]


def run(test, changes, *arguments):
    """What the test says of the tree with these changes, a line each, and its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (TREE | changes).items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        script = pathlib.Path(__file__).parent / (test + ".py")
        command = [sys.executable, script, *arguments, folder]
        result = subprocess.run(command, text=True, stdout=subprocess.PIPE)
        return result.stdout.splitlines(), result.returncode


def check_documents(build):
    """The number of breaks that documents/run.py did not report as it should."""
    failed = 0
    for what, changes, expected in DOCUMENT_BREAKS:
        changes = DOCUMENTS | changes
        said, status = run("documents/run", changes, build)
        found = all(any(text in line for line in said) for text in expected)
        if not found or status != (1 if expected else 0):
            failed += 1
            print(f"documents: {what}: status {status}, expected {expected}, got", *said, sep="\n")
    return failed


def main():
    failed = check_documents(sys.argv[1])
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
