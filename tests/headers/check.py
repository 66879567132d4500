"""Compiles every header as if alone and links all of them: check.py BUILD MAIN INCLUDE_FOLDER...

A header is seen alone where nothing stands before it but what it includes itself. That holds of
every header of a chain, a file that includes h1, h2, ... where each reaches the one before; so
far fewer files than headers do. Each is included twice, for its guard must work; all are linked
into one program, so that a function that lacks `inline` is found too. The flags are those that
BUILD compiles MAIN with. Parsing is nearly all of the time, so some headers are compiled
beforehand, and a file starts from one of them that its first header includes anyway. clang++ takes
half as long as g++, which instantiates templates again for each file.
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
# What a file costs beside parsing, in our lines.
EACH_FILE = 3000


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

    def reach(name):
        reached, left = {name}, [name]
        while left:
            others = set(includes.get(left.pop(), ((), 0, ()))[0]) - reached
            reached |= others
            left += others
        return reached

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


def chains(reached):
    """All headers in as few chains as can be, by matching headers with such as reach them."""
    # Not both ways: of a circle each is seen alone.
    above = {
        name: [other for other in sorted(reached) if reached[name] < reached[other]]
        for name in reached
    }
    below = {}

    def match(name, tried):
        for other in above[name]:
            if other not in tried:
                tried.add(other)
                if other not in below or match(below[other], tried):
                    below[other] = name
                    return True
        return False

    for name in sorted(reached):
        match(name, set())
    found = []
    for name in sorted(reached.keys() - set(below.values())):
        chain = [name]
        while chain[0] in below:
            chain.insert(0, below[chain[0]])
        found.append(chain)
    return found


def choose_base(name, bases, reached, costs):
    return max((base for base in bases if base in reached[name]), key=costs.get, default=None)


def cut(chain, bases, reached, costs):
    """A chain in pieces of one file each, such that what the compiler reads is least."""
    best = [(0, [])]
    for end in range(1, len(chain) + 1):
        best.append(min(
            (best[begin][0] + EACH_FILE + costs[chain[end - 1]]
             - costs.get(choose_base(chain[begin], bases, reached, costs), 0),
             [*best[begin][1], chain[begin:end]])
            for begin in range(end)
        ))
    return best[-1][1]


def run(command, build):
    done = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def main():
    build, main_file = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    includes = read_includes(sys.argv[3:])
    reached = closures(includes)
    costs = {name: cost(reached[name], includes) for name in reached}
    # Sanitizers watch what runs, and nothing does.
    compiler = [w for w in compile_command(build, main_file) if "-fsanitize" not in w]
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

        def compile_piece(names):
            source = folder / (names[-1].replace("/", "_") + ".cpp")
            source.write_text("".join(f"#include <{name}>\n" * 2 for name in names))
            first = choose_base(names[0], bases, reached, costs)
            given = ["-include", str(bases[first])] if first else []
            output = f"{source}.o"
            ok, said = run([*compiler, *given, "-c", str(source), "-o", output], build)
            return names, ok, said, output

        pieces = [
            piece for chain in chains(reached) for piece in cut(chain, bases, reached, costs)
        ]
        outputs = []
        for names, ok, said, output in pool.map(compile_piece, pieces):
            if ok:
                outputs.append(output)
            else:
                failed += 1
                print(f"headers: do not compile alone: {', '.join(names)}\n{said}")
        if not failed:
            (folder / "main.cpp").write_text(main_file.read_text())
            command = [*compiler, str(folder / "main.cpp"), *outputs, "-o", str(folder / "all")]
            # What they use of others' libraries is not asked for: only what is there twice.
            ok, said = run([*command, "-Wl,--unresolved-symbols=ignore-all"], build)
            if not ok:
                failed += 1
                print(f"headers: they do not link together\n{said}")
    print(
        f"headers: {len(reached)} alone in {len(pieces)} files, {len(bases)} of them beforehand, "
        f"{failed} failed"
    )
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
