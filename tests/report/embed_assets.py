"""What scripts/embed_assets refuses: embed_assets.py SCRIPT

That it repeats bytes is tests/report/assets.cpp.
"""

import pathlib
import subprocess
import sys
import tempfile

REFUSED = {
    b"a\r\n": "expected no carriage return, got one at byte 1",
    b"a\0\n": "expected no NUL, got one at byte 1",
    b'a)web"\n': "expected no end of a literal, got one at byte 1",
    b"a": "expected a line end at the end, got none",
    b"a\xff\n": "expected UTF-8, got a broken character at byte 1",
    b"a" * 70_000: "expected at most 65535 bytes, got 70000: make two files of it",
}


def run(folder, *names):
    """Its message; empty if it wrote the header."""
    output = folder / "assets.hpp"
    output.unlink(missing_ok=True)
    result = subprocess.run(
        [sys.executable, sys.argv[1], folder, output, *(folder / name for name in names)],
        text=True, capture_output=True,
    )
    if (result.returncode == 0) != output.exists():
        sys.exit(f"exit code {result.returncode}, header written: {output.exists()}")
    return result.stderr.strip()


def expect(message, expected):
    if not message.endswith(expected) or (expected == "") != (message == ""):
        sys.exit(f"expected '{expected}', got '{message}'")


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name).resolve()
    file = folder / "a.css"
    for data, expected in REFUSED.items():
        file.write_bytes(data)
        expect(run(folder, "a.css"), expected)
    file.write_bytes(b"p { }\n")
    expect(run(folder, "a.css"), "")
    (folder / "b").mkdir()
    (folder / "b" / "a.css").write_bytes(b"p { }\n")
    expect(run(folder, "a.css", "b/a.css"), f"expected a name of its own, got that of {file}")
