"""Compiles the C++ of the documents, and looks for what they name.

run.py BUILD_FOLDER SOURCE_FOLDER

The documents are the pages *.md and docs/*.md. Every ```cpp block of them is compiled, without
optimising or linking, as this build compiles a test; an error names page and line. The fragments of
a page stand in one function, each in a scope within that of the fragment before, so that a page
can be read from top to bottom and may use a name again. tests/documents/preamble.hpp has the names
that they may take as given. Types that a fragment declares stand outside the function, and so does
a block of nothing but declarations. A program (a block with `main`) stands before everything else:
its own includes, and those of programs before it, must be all that it needs.

Links to files and headings must lead somewhere, and files that the text names must be there.
"""

import itertools
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from build_flags import compile_command  # noqa: E402

CONTROL = {"for", "if", "while", "do", "switch", "try", "catch", "else", "return"}
TYPES = {"struct", "class", "enum", "union", "template", "namespace", "concept"}
DECLARATIONS = TYPES | {"using", "typedef", "static_assert", "extern", "inline"}
# What fragments do: statements without effect, names used once or again, options left out.
LENIENT = ["-Wno-unused", "-Wno-unused-result", "-Wno-shadow", "-Wno-missing-field-initializers"]


class block:
    """A ```cpp block of a page: `line` is that of its first line of code, from 1."""

    def __init__(self, page, line, text):
        self.page, self.line = page, line
        include = re.compile(r"^[ \t]*#[ \t]*include\b.*$", re.M)
        self.includes = [
            (line + text.count("\n", 0, found.start()), found[0])
            for found in include.finditer(text)
        ]
        self.text = include.sub("", text)
        self.statements = list(split(self.text))
        self.is_program = any(is_main(text) for text, _ in self.statements)

    @property
    def name(self):
        return re.sub(r"\W", "_", pathlib.Path(self.page).stem) + f"_{self.line}"

    def is_declarations(self):
        """Whether nothing here must stand in a function."""
        kinds = [kind(text) for text, _ in self.statements]
        return "function" in kinds or all(k in ("type", "declaration") for k in kinds)

    def parts(self):
        """What stands at namespace scope, and what in a function; lines stay where they are."""
        if self.is_declarations():
            # Within a namespace, where there may be several, `main` must return something.
            return "".join(
                original[:-1] + "return 0; }" if is_main(text) else original
                for text, original in self.statements
            ), ""
        outside, inside = [], []
        for text, original in self.statements:
            blank = "\n" * original.count("\n")
            is_type = kind(text) == "type"
            outside.append(original if is_type else blank)
            inside.append(blank if is_type else original)
        return "".join(outside), "".join(inside)


def without_comments(text):
    """The same length and lines, with comments and what stands in quotes blanked."""
    pattern = r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])+'"""
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)


def split(text):
    """The statements of a block: (without comments, as it is written); together all of it."""
    bare = without_comments(text)
    begin = depth = 0
    for i, c in enumerate(bare):
        depth += (c in "({[") - (c in ")}]")
        after = bare[i + 1 :].lstrip()[:1]
        is_end = c == ";" or (c == "}" and (not after or after.isalnum() or after in "_{}[~:/#"))
        if depth == 0 and is_end:
            yield bare[begin : i + 1].strip(), text[begin : i + 1]
            begin = i + 1
    if bare[begin:].strip():
        yield bare[begin:].strip(), text[begin:]


def is_main(text):
    return re.match(r"int\s+main\s*\(", text) is not None


def kind(text):
    """Of a statement: type, declaration, function (its definition), or statement."""
    word = re.match(r"\w*", text)[0]
    if word in TYPES:
        return "type"
    head = re.match(r"([\w:<>,&*\s]+?[\s&*])[\w:]+\s*\((?:[^{}]*)\)[^={}()]*\{", text)
    if head and text.endswith("}") and word not in CONTROL:
        return "function"
    return "declaration" if word in DECLARATIONS else "statement"


def read_blocks(page, text):
    for found in re.finditer(r"^```cpp\n(.*?)^```$", text, re.M | re.S):
        yield block(page, text.count("\n", 0, found.start(1)) + 1, found[1])


def located(source, page, line, text):
    return f'#line {line} "{source / page}"\n{text}\n' if text.strip() else ""


def translation_unit(blocks, source, preamble):
    """One file with all of it; #line names the pages."""

    def includes(those):
        return [located(source, b.page, n, text) for b in those for n, text in b.includes]

    def at_namespace_scope(b):
        text = located(source, b.page, b.line, b.parts()[0])
        return f"namespace {b.name} {{\n{text}}}\n"

    programs = [b for b in blocks if b.is_program]
    fragments = [b for b in blocks if not b.is_program]
    out = []
    for b in programs:
        out += [*includes([b]), at_namespace_scope(b)]
    out += [f'#include "{preamble}"\n', *includes(fragments)]
    for page, of_page in itertools.groupby(fragments, lambda b: b.page):
        of_page = list(of_page)
        out.append("namespace document {\n")
        for b in of_page:
            out += [at_namespace_scope(b), f"using namespace {b.name};\n"]
        out.append(f"void page_{of_page[0].name}() {{\n")
        for b in of_page:
            out.append("{\n" + located(source, b.page, b.line, b.parts()[1]))
        out.append("}" * (len(of_page) + 1) + "\n}\n")
    return "".join(out)


def compile_blocks(build, source, blocks):
    """What the compiler says; nothing where all is well."""
    preamble = source / "tests/documents/preamble.hpp"
    with tempfile.TemporaryDirectory() as folder:
        unit = pathlib.Path(folder, "documents.cpp")
        unit.write_text(translation_unit(blocks, source, preamble), encoding="utf-8")
        flags = [*LENIENT, "-fsyntax-only", "-O0", "-fdiagnostics-color=never", str(unit)]
        command = compile_command(build, ROOT / "tests/core/core.cpp")
        result = subprocess.run(command + flags, cwd=build, text=True, capture_output=True)
        return result.stderr if result.returncode else ""


def anchors(text):
    """Of the headings, as forges make them: lower case, words joined by hyphens."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_links(source, page, text):
    for found in re.finditer(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = found[1].partition("#")
        line = text.count("\n", 0, found.start()) + 1
        if "://" in target:
            continue
        file = (source / page).parent / target if target else source / page
        if not file.exists():
            yield f"{page}:{line}: a link to {target}, which is not there"
        elif anchor and anchor not in anchors(file.read_text(encoding="utf-8")):
            yield f"{page}:{line}: a link to {found[1]}, which has no such heading"


def check_files(source, page, text):
    """Files that the text, not its blocks, names by folder and name: headers without include/.
    What a build makes (build/...) need not be there."""
    prose = re.sub(r"^```.*?^```$", lambda m: "\n" * m[0].count("\n"), text, flags=re.M | re.S)
    roots = [source / root for root in ("", "include", "include/xlens", "docs", "apps/xlens")]
    named = r"(?:[\w.-]+/)+[\w-]+\.(?:hpp|ipp|cpp|py|md|txt)"
    inside = r"(?:scripts|examples|tests|benchmarks|docs|apps|cmake)/[\w/.-]*\w"
    for found in re.finditer(rf"(?<![\w/.<>:*-])(?!build)(?:{named}|{inside})\b", prose):
        if not any((root / found[0]).exists() for root in roots):
            line = prose.count("\n", 0, found.start()) + 1
            yield f"{page}:{line}: {found[0]} is not there"


def check_commands(source, build, text):
    """The commands of README's section Start must be there: ./demo, ./check, build/xlens."""
    section = re.search(r"^## Start$(.*?)^## ", text, re.M | re.S)
    commands = re.findall(r"^(?:\$ )?((?:\./|build/)[\w./-]+)", section[1] if section else "", re.M)
    if "./demo" not in commands or "./check" not in commands:
        yield "README.md: expected a section '## Start' that names ./demo and ./check"
    has_program = (build / "xlens").exists()
    for command in commands:
        if command == "build/xlens":
            command = "apps/xlens/main.cpp" if not has_program else str(build / "xlens")
        if not (source / command).is_file():
            yield f"README.md: {command}: a command that is not there"


def main():
    build, source = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    faults, blocks = [], []
    for path in [*sorted(source.glob("*.md")), *sorted(source.glob("docs/*.md"))]:
        page, text = path.relative_to(source).as_posix(), path.read_text(encoding="utf-8")
        blocks += read_blocks(page, text)
        faults += [*check_links(source, page, text), *check_files(source, page, text)]
        if page == "README.md":
            faults += check_commands(source, build, text)
    said = compile_blocks(build, source, blocks) if blocks else ""
    for fault in faults:
        print(fault)
    print(said, end="")
    print(f"{len(blocks)} blocks compiled, {len(faults)} other faults")
    sys.exit(1 if faults or said else 0)


if __name__ == "__main__":
    main()
