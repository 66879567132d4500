"""Compiles every header alone and links all of them: check.py BUILD MAIN INCLUDE_FOLDER...

Each in a file that includes nothing else, twice, for its guard must work; linked into one program,
so that a function that lacks `inline` is found too. The flags are those that BUILD compiles MAIN
with. Parsing is nearly all of the time, so some headers are compiled beforehand, and each file
starts from one of them that its header includes anyway: what the compiler sees stays the same.
clang++ takes half as long as g++, which instantiates templates again for each file.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts"))
from build_flags import compile_command  # noqa: E402

# What parsing what is not ours costs, in our lines.
FOREIGN = {"xtensor": 8000, "xsimd": 6000, "nlohmann": 6000, "fmt": 2000}
EACH_FOREIGN = 200
MOST_BASES = 14


def read_includes(folders):
    """Of each header: the headers that it includes, its lines, and others' headers."""
    found = {}
    for folder in folders:
        for path in pathlib.Path(folder).glob("xlens/**/*.hpp"):
            text = path.read_text()
            names = re.findall(r'^\s*#\s*include [<"]([^>"]+)[>"]', text, re.M)
            ours = [name for name in names if name.startswith("xlens/")]
            found[str(path.relative_to(folder))] = (ours, text.count("\n"), set(names) - set(ours))
    return found


def closures(includes):
    """Of each header: all that it reaches, itself too."""
    reached = {}

    def reach(name):
        if name not in reached:
            reached[name] = {name}  # ends a circle
            for other in includes.get(name, ((), 0, ()))[0]:
                reached[name] = reached[name] | reach(other)
        return reached[name]

    return {name: reach(name) for name in includes}


def cost(closure, includes):
    lines = sum(includes[name][1] for name in closure if name in includes)
    foreign = set().union(*(includes[name][2] for name in closure if name in includes))
    return lines + sum(FOREIGN.get(name.split("/")[0], EACH_FOREIGN) for name in foreign)


def choose_bases(reached, costs):
    """The headers to compile beforehand, the one that saves most first."""
    best = dict.fromkeys(reached, 0)  # what is saved of each
    bases = []
    while len(bases) < MOST_BASES:
        def gain(base):
            users = (name for name in reached if base in reached[name])
            return sum(max(costs[base] - best[user], 0) for user in users) - 2 * costs[base]

        base = max(sorted(reached), key=gain)
        if gain(base) <= 0:
            break
        bases.append(base)
        for name in reached:
            if base in reached[name]:
                best[name] = max(best[name], costs[base])
    return bases


def run(command, build):
    done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def main():
    build, main_file = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    includes = read_includes(sys.argv[3:])
    reached = closures(includes)
    costs = {name: cost(reached[name], includes) for name in reached}
    compiler = compile_command(build, main_file)
    failed = 0
    with (
        tempfile.TemporaryDirectory() as temporary,
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        folder = pathlib.Path(temporary)

        said = subprocess.run([*compiler, "--version"], capture_output=True, check=True).stdout
        clang = b"clang" in said
        beforehand = ["-fpch-instantiate-templates"] if clang else []

        def precompile(base):
            header = folder / (base.replace("/", "_"))
            header.write_text(f"#include <{base}>\n")
            output = f"{header}.pch" if clang else f"{header}.gch"
            command = [*compiler, *beforehand, "-x", "c++-header", str(header), "-o", output]
            return base, header, run(command, build)[0]

        # One that does not compile is not used, and is told of below.
        bases = {
            base: header
            for base, header, ok in pool.map(precompile, choose_bases(reached, costs))
            if ok
        }

        def compile_alone(name):
            source = folder / (name.replace("/", "_") + ".cpp")
            source.write_text(f"#include <{name}>\n" * 2)
            usable = [base for base in bases if base in reached[name]]
            first = max(usable, key=costs.get, default=None)
            given = ["-include", str(bases[first])] if first else []
            output = f"{source}.o"
            ok, said = run([*compiler, *given, "-c", str(source), "-o", output], build)
            return name, ok, said, output

        outputs = []
        for name, ok, said, output in pool.map(compile_alone, sorted(reached)):
            if ok:
                outputs.append(output)
            else:
                failed += 1
                print(f"headers: {name} does not compile alone\n{said}")
        if not failed:
            (folder / "main.cpp").write_text(main_file.read_text())
            command = [*compiler, str(folder / "main.cpp"), *outputs, "-o", str(folder / "all")]
            # What they use of others' libraries is not asked for: only what is there twice.
            ok, said = run([*command, "-Wl,--unresolved-symbols=ignore-all"], build)
            if not ok:
                failed += 1
                print(f"headers: they do not link together\n{said}")
    print(f"headers: {len(reached)} alone, {len(bases)} of them beforehand, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
