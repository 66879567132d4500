# SPDX-License-Identifier: BSD-3-Clause
"""The two programs that do the work: `xlens`, and what continue.cpp makes. Standard library only.

What has been computed is kept in the work folder under a name that says what it is, so that a run
that was cut off goes on where it was.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

CHUNK = 48  # prompts whose continuations are kept together


def quit_with(message):
    print(f"detox: {message}", file=sys.stderr)
    sys.exit(2)


class Worker:
    def __init__(self, build, model, work):
        self.program = Path(build) / "examples" / "detox_continue"
        self.xlens_program = Path(build) / "xlens"
        for program in (self.program, self.xlens_program):
            if not program.is_file():
                quit_with(f"{program} is missing: build it with ninja -C {build}")
        self.model = model
        self.work = Path(work)
        self.work.mkdir(parents=True, exist_ok=True)

    def ask(self, recipe, task, given):
        """The answer of continue.cpp, from the work folder where it is known."""
        key = json.dumps([str(self.model), recipe, task, given])
        path = self.work / (hashlib.sha256(key.encode()).hexdigest()[:24] + ".json")
        if path.exists():
            return json.loads(path.read_text())
        recipe_path = "-"
        if recipe:
            recipe_path = path.with_suffix(".recipe.json")
            recipe_path.write_text(recipe)
        out = self.run([self.program, self.model, recipe_path, *task], given)
        part = path.with_suffix(".part")
        part.write_bytes(out)
        part.rename(path)
        return json.loads(out)

    def continuations(self, recipe, prompts, tokens, beams, label):
        """Of each prompt its most likely continuation."""
        out = []
        for first in range(0, len(prompts), CHUNK):
            part = json.dumps(prompts[first : first + CHUNK])
            out += self.ask(recipe, ["beam", tokens, beams, CHUNK], part)
            progress(f"{label}: {len(out)} of {len(prompts)} prompts", len(out) == len(prompts))
        return out

    def windows(self, recipe, text, window):
        """[(tokens, mean nll)] of the windows of a text."""
        return self.ask(recipe, ["perplexity", window], text)

    def ends(self, neurons, count, form):
        """{neuron: {"promotes": [..], "suppresses": [..]}}: the texts of the tokens at the ends of
        value vectors, projected folded or raw."""
        found = self.ask(None, ["ends", count, form], json.dumps(neurons))
        return dict(zip(neurons, found))

    def xlens(self, *arguments):
        """The JSON document that `xlens ARGUMENTS.. --json` prints."""
        what, *more = arguments
        return json.loads(self.run([self.xlens_program, what, self.model, *more, "--json"], ""))

    @staticmethod
    def run(command, given):
        done = subprocess.run([str(c) for c in command], input=given.encode(), capture_output=True,
                              check=False)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            quit_with(said[-1] if said else f"{command[0]} ended with {done.returncode}")
        return done.stdout


def progress(text, done):
    """A line that replaces itself on a terminal; elsewhere its last state."""
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="\n" if done else "", file=sys.stderr, flush=True)
    elif done:
        print(text, file=sys.stderr, flush=True)
