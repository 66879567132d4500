"""Compiles one case of tests/compile_fail twice: run.py BUILD_FOLDER CASE.cpp

As it stands, the case must compile. With XLENS_MUST_NOT_COMPILE defined it must not, and the
compiler's first error must say what follows `// expect:` in the case. Where compilers word it
differently, there may be several such lines; one of them must be found. A line `// lines: N` says
how many lines the compiler may print at most.
"""

import pathlib
import subprocess
import sys

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))
from build_flags import compile_command  # noqa: E402


def compiler_command(build):
    """How this build compiles a test, but that nothing is made of it."""
    command = compile_command(build, SCRIPTS.parent / "tests/core/core.cpp", precompiled=True)
    return [*command, "-fdiagnostics-color=never", "-fsyntax-only"]


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
    said = result.stderr.splitlines()
    first = next((line for line in said if "error: " in line), "")
    if not any(text in first for text in expected):
        wanted = " or ".join(f"`{text}`" for text in expected)
        sys.exit(f"{case}: expected {wanted} in the first error, got:\n{result.stderr}")
    limits = [int(line.split("// lines:", 1)[1]) for line in lines if "// lines:" in line]
    if limits and len(said) > limits[0]:
        sys.exit(f"{case}: expected {limits[0]} lines, got {len(said)}:\n{result.stderr}")


main()
