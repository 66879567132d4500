# SPDX-License-Identifier: BSD-3-Clause
"""The files that a Who of rows.py is measured on, made when they are first asked for."""

import json
import subprocess
import sys
from pathlib import Path

import tokenizers

ROOT = Path(__file__).resolve().parents[2]
GEMMA = "gemma-3-270m"


def said(*command):
    return subprocess.run(
        [str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def gemma():
    """The file of the second real model, fetched and checked."""
    return said(ROOT / "scripts" / "fetch_model", GEMMA).split()[-1]


def path(name, folder, q4):
    """Where the model of this name is: `q4`, `gemma`, `random/FORMAT.gguf` or
    `random/SIZE-FORMAT.gguf`, or what prepare.py makes. Of the sizes only one file is kept."""
    if name == "q4":
        return q4
    if name == "gemma":
        return gemma()
    made = folder / name
    if name.startswith("random/") and not made.exists():
        made.parent.mkdir(exist_ok=True)
        *size, form = made.stem.rsplit("-", 1)
        if size:
            for other in made.parent.glob("*-*.gguf"):
                other.unlink()
        said(sys.executable, ROOT / "benchmarks" / "random_gguf.py", form, made, *size)
    return made


def ids(name, folder):
    """A file of a text's token ids for this model. Random weights read those of the default one."""
    if name != "gemma":
        return folder / "ids.txt"
    made = folder / "gemma_ids.txt"
    if not made.exists():
        text = ROOT / "tests" / "golden" / "gemma3_270m" / "perplexity.txt"
        flags = ["--text", text.read_text(encoding="utf-8"), "--json"]
        found = json.loads(said(folder / "xlens" / "xlens", "tokenize", gemma(), *flags))["ids"]
        made.write_text(" ".join(map(str, found)) + "\n")
    return made


def text(tokens, folder):
    """A text of so many tokens of the default model: this repository's documents and headers."""
    made = folder / f"text-{tokens}.txt"
    if not made.exists():
        parts = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("include/**/*.hpp")])
        whole = "\n".join(part.read_text(encoding="utf-8") for part in parts)
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "hf" / "tokenizer.json"))
        found = tokenizer.encode(whole, add_special_tokens=False)
        made.write_text(whole[: found.offsets[tokens - 1][1]], encoding="utf-8")
    return str(made)
