"""Builds and runs examples/consumer against xlens: run.py WAY SOURCE BUILD COMPILER

WAY is make, cmake or meson (against the installed package) or subproject (Meson, from source), each
also as WAY-compiled: beside the compiled library.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

COMMANDS = {
    "make": [["make", "consumer"]],
    "make-compiled": [["make", "consumer", "XLENS=xlens-compiled"]],
    "cmake": [
        ["cmake", "-S", ".", "-B", "out", "-DCMAKE_BUILD_TYPE=Release"],
        ["cmake", "--build", "out"],
    ],
    "cmake-compiled": [
        ["cmake", "-S", ".", "-B", "out", "-DCMAKE_BUILD_TYPE=Release", "-DXLENS=xlens::compiled"],
        ["cmake", "--build", "out"],
    ],
    "meson": [["meson", "setup", "out", "--wrap-mode=nofallback"], ["ninja", "-C", "out"]],
    "meson-compiled": [
        ["meson", "setup", "out", "--wrap-mode=nofallback", "-Dxlens=xlens-compiled"],
        ["ninja", "-C", "out"],
    ],
    "subproject": [
        ["meson", "setup", "out", "--force-fallback-for=xlens"],
        ["ninja", "-C", "out"],
    ],
}


# The files of pages, which the build embeds, are there as well.
PAGE = """
#include <xlens/report/html_page.hpp>
static_assert(xlens::assets::page_html.starts_with("<!DOCTYPE html>"));
"""


def run(command, **options):
    result = subprocess.run(command, text=True, capture_output=True, **options)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}:\n{result.stdout}{result.stderr}")
    return result.stdout


def install(build, root):
    """Installs the build under `root` and returns the environment that finds it there."""
    run(["meson", "install", "-C", str(build), "--no-rebuild", "--destdir", str(root)])
    [config] = root.rglob("xlens.pc")
    [compiled] = root.rglob("xlens-compiled.pc")
    prefix = config.parent
    while not (prefix / "include" / "xlens").is_dir():
        prefix = prefix.parent
    if [p for p in (prefix / "include").rglob("*") if p.is_file() and p.suffix != ".hpp"]:
        sys.exit("the installation holds files that are no headers")
    return {
        "PKG_CONFIG_PATH": f"{config.parent}:{compiled.parent}",
        "CMAKE_PREFIX_PATH": str(prefix),
    }


def main():
    way, source, build, compiler = sys.argv[1:5]
    source, build = pathlib.Path(source), pathlib.Path(build)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        consumer = folder / "consumer"
        shutil.copytree(source / "examples" / "consumer", consumer)
        with (consumer / "main.cpp").open("a", encoding="utf-8") as main_file:
            main_file.write(PAGE)
        environment = {**os.environ, "CXX": compiler}
        if way == "subproject":
            (consumer / "subprojects").mkdir()
            (consumer / "subprojects" / "xlens").symlink_to(source)
        else:
            environment |= install(build, folder / "installed")
        for command in COMMANDS[way]:
            run(command, cwd=consumer, env=environment)
        program = consumer / "consumer" if way.startswith("make") else consumer / "out" / "consumer"
        printed = run([str(program)])
        if printed != "12 34\n":
            sys.exit(f"expected the consumer to print `12 34`, got `{printed}`")


main()
