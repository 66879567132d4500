"""Compiles one case of tests/compile_fail twice: run.py BUILD_FOLDER CASE.cpp

As it stands, the case must compile. With XLENS_MUST_NOT_COMPILE defined it must not, and the
compiler must say what follows `// expect:` in the case. Where compilers word it differently, there
may be several such lines; one of them must be found.
"""

import json
import pathlib
import shlex
import subprocess
import sys


def compiler_command(build):
    """How this build compiles a file, without what names the file and its outputs."""
    entries = json.loads((build / "compile_commands.json").read_text())
    entry = next(e for e in entries if e["output"].startswith("tests/"))
    words = iter(shlex.split(entry["command"]))
    kept = []
    for word in words:
        if word in ("-o", "-MF", "-MQ", "-c"):
            next(words)
        elif word not in ("-MD", "-MMD") and not word.endswith("ccache"):
            kept.append(word)
    return kept + ["-O0", "-fdiagnostics-color=never", "-o", "/dev/null", "-c"]


def main():
    build, case = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    lines = case.read_text().splitlines()
    expected = [line.split("// expect:", 1)[1].strip() for line in lines if "// expect:" in line]
    if not expected or not all(expected):
        sys.exit(f"{case}: expected a line `// expect: TEXT`")

    command = compiler_command(build) + [str(case)]

    def run(*extra):
        return subprocess.run(command + list(extra), cwd=build, text=True, capture_output=True)

    result = run()
    if result.returncode != 0:
        sys.exit(f"{case}: must compile as it stands, but:\n{result.stderr}")
    result = run("-DXLENS_MUST_NOT_COMPILE")
    if result.returncode == 0:
        sys.exit(f"{case}: compiles with XLENS_MUST_NOT_COMPILE")
    if not any(text in result.stderr for text in expected):
        wanted = " or ".join(f"`{text}`" for text in expected)
        sys.exit(f"{case}: expected {wanted} in the message, got:\n{result.stderr}")


main()
