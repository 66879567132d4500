"""The twelve workflows of docs/experiments.md, as a user runs them: run.py smollm2|gemma3_270m

Runs the shell and the Python of the page's sections, block by block, in a folder of its own, with
`default` being the model and --json added; what they find is compared with what transformers and
hooks found (tests/golden/make_workflows.py). Every numbered row of the page's table must have a
section whose commands are all compared. Python that needs packages which are not there is left out.

XLENS_PROGRAM is the program, XLENS_MODEL and XLENS_GEMMA are the models.
"""

import contextlib
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import inputs
from page import SOURCE, Page

MODELS = {"smollm2": "XLENS_MODEL", "gemma3_270m": "XLENS_GEMMA"}
LEFT_OUT = 77  # what Meson takes for a test that was skipped
LARGEST_FAULTS = 20


class Workflows:
    """One model's: `folder` is where its commands run, `golden` what transformers found."""

    def __init__(self, name, folder):
        self.page, self.folder = Page(name), folder
        golden = inputs.GOLDEN / f"workflows/{name}.json"
        self.golden = read_json(golden) if golden.exists() else {}
        self.patch = read_json(inputs.GOLDEN / f"{name}/patch.json")
        self.checked, self.faults, self.left_out = 0, [], []
        self.results, self.printed, self.notebook = {}, {}, {}
        self.model = os.environ[MODELS[name]]

    # Running

    def prepare(self):
        (self.folder / "bin").mkdir()
        (self.folder / "bin/xlens").symlink_to(os.environ["XLENS_PROGRAM"])
        (self.folder / "text.txt").write_text(inputs.text(self.page.name), encoding="utf-8")
        inputs.write_coarser(self.model, self.folder / "other.gguf")
        inputs.write_lens(self.page.name, self.folder / "lens.pt")
        shutil.copytree(SOURCE / "examples", self.folder / "examples")

    def run(self, section):
        for language, code in self.page.blocks[section]:
            if language == "sh":
                for command in self.page.commands(code):
                    self.run_command(section, command)
            else:
                self.run_python(section, code)

    def run_command(self, section, command):
        """In the page's words; what it printed, or wrote to a file, becomes a result."""
        ours = command.startswith("xlens ")
        if ours:
            command = command.replace(" default ", f" {shlex.quote(self.model)} ")
            if " --json" not in command:
                command = re.sub(r"(?= > |$)", " --json", command, count=1)
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.folder, env={**os.environ, "PATH": path},
            capture_output=True, check=False,
        )
        if done.returncode != 0:
            sys.exit(f"{command}: exit code {done.returncode}\n{done.stderr.decode()}")
        if ours:
            target = command.partition(" > ")[2]
            out = (self.folder / target).read_bytes() if target else done.stdout
            documents = [json.loads(line) for line in out.splitlines()]
            self.results.setdefault(section, []).append((command.split()[1], documents))

    def run_python(self, section, code):
        """In one notebook a section."""
        modules = {m.split(".")[0] for m in re.findall(r"^(?:from|import) ([\w.]+)", code, re.M)}
        missing = [m for m in sorted(modules) if importlib.util.find_spec(m) is None]
        cells = self.notebook.setdefault(section, {})
        if missing or "left out" in cells:
            cells["left out"] = missing
            self.left_out += missing
            return
        said = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(said):
            exec(code, cells)
        self.printed[section] = self.printed.get(section, "") + said.getvalue()

    def take(self, section, subcommand):
        """The first result of this subcommand that was not compared yet."""
        for i, (name, documents) in enumerate(self.results.get(section, [])):
            if name == subcommand:
                return self.results[section].pop(i)[1]
        sys.exit(f"docs/experiments.md: #{section}: expected a command `xlens {subcommand}`")

    def take_one(self, section, subcommand):
        (document,) = self.take(section, subcommand)
        return document

    # Comparing

    def same(self, found, expected, what):
        self.checked += 1
        if found != expected:
            self.faults.append(f"{what}: {found}, expected {expected}")

    def near(self, found, expected, limit, what):
        self.checked += 1
        if not abs(found - expected) <= limit:
            self.faults.append(f"{what}: {found}, expected {expected} to {limit:g}")

    def text(self, found, expected, what):
        """Greedy tokens; transformers stopped where two were as probable."""
        self.same(found[: len(expected)], expected, what)

    def tokens(self, found, expected, limit, what):
        """The most probable tokens; those that are as probable as the next may change places."""
        for i, token in enumerate(expected):
            self.near(found[i]["probability"], token["probability"], limit, f"{what} {i}")
            others = [t["probability"] for t in expected if t is not token]
            if all(abs(p - token["probability"]) > 2 * limit for p in others):
                self.same(found[i]["id"], token["id"], f"{what} {i}")


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def neurons(run, at):
    golden, attributed = run.golden["neurons"], run.take_one(at, "attribute")
    run.same(attributed["token"]["id"], golden["token"], "token")
    run.near(attributed["logit"], golden["logit"], 1e-4, "logit")
    found = {s["neuron"]: s["contribution"] for s in attributed["sub_updates"]}
    for neuron, contribution in golden["largest"]:
        run.near(found.get(neuron, 0.0), contribution, 1e-4, f"{neuron} adds")
    traced, text = run.take_one(at, "trace"), run.take_one(at, "generate")
    prediction = traced["positions"][0]["prediction"]
    run.tokens(prediction, golden["without"], 1e-4, "without the neurons")
    run.text(text["ids"], golden["text"], "text without the neurons")


SITES = ("before", "attention_out", "ffn_out")  # of the page's grid; the golden has more


def patching(run, at):
    golden, found = run.patch, run.take_one(at, "patch")
    prompt, source = golden["of_prompt"][0], golden["of_source"][0]
    run.same([t["id"] for t in found["metric_tokens"]], golden["tokens"], "tokens")
    run.near(found["prompt"]["metric"], prompt, 1e-4, "of the prompt")
    run.near(found["source"]["metric"], source, 1e-4, "of the source")
    rows = {(row["site"], row["layer"]): row for row in found["grid"]}
    run.same({site for site, _ in rows}, set(SITES), "sites of the grid")
    for expected in golden["grid"]:
        place = expected["site"], expected["layer"]
        if place[0] not in SITES:
            continue
        for position, (metric, *_) in enumerate(expected["metrics"]):
            what = f"{place[0]}, layer {place[1]}, position {position}"
            run.near(rows[place]["metric"][position], metric, 1e-4, what)
            share = (metric - prompt) / (source - prompt)
            run.near(rows[place]["normalised"][position], share, 1e-4, what + ", normalised")
    for place, metrics in inputs.whole_grid(run.page.name, len(golden["prompt"])).items():
        if place[0] in SITES:
            what = "{}, layer {}, of all".format(*place)
            run.same(len(rows[place]["metric"]), len(metrics), what)
            for found_here, metric in zip(rows[place]["metric"], metrics):
                run.near(found_here, metric, 1e-4, what)


def steering(run, at):
    golden, made = run.golden["direction"], run.take_one(at, "direction")
    for found, expected in zip(made["separation"], golden["separation"], strict=True):
        what = f"layer {found['layer']}:"
        run.near(found["length"], expected["length"], 1e-4 * expected["length"], what + " length")
        run.near(found["held_out"], expected["held_out"], 1e-9, what + " held out")
        run.near(found["margin"], expected["margin"], 1e-3, what + " margin")
    run.text(run.take_one(at, "generate")["ids"], golden["steered"], "steered text")


def arrays(run, at):
    """4, 7, 8: what was written, read by Python alone; and what the page's Python makes of it."""
    golden, made = run.golden["arrays"], run.take_one(at, "capture")
    folder = run.folder / made["folder"]
    manifest = read_json(folder / "manifest.json")
    run.same(manifest["rows"], golden["prompts"], "rows")
    (file,) = manifest["files"]
    found = inputs.read_safetensors(folder / file["name"])
    for sequence, rows in golden["rows"].items():
        for expected in rows:
            (_, width), values = found[expected["array"]]
            row = values[int(sequence) * width :][:width]
            kept = [row[width * i // 16] for i in range(16)]
            limit = 1e-5 * expected["largest"]
            for i, (x, y) in enumerate(zip(kept, expected["values"], strict=True)):
                run.near(x, y, limit, f"{expected['array']} of prompt {sequence}, {i}")
    if run.printed.get(at):
        probes(run, run.printed[at].splitlines(), golden["printed"], 1.01 / golden["prompts"])


def probes(run, found, expected, one):
    """Lines of words and shares; a share may be off by `one` example."""
    for line, other in zip(found, expected, strict=True):
        for word, figure in zip(line.split(), other.split(), strict=True):
            if "." in figure and figure[0].isdigit():
                run.near(float(word), float(figure), one, f"probe: {other}")
            else:
                run.same(word, figure, "probe")


def examples(run, at):
    found = run.take_one(at, "examples")
    for neuron in found["neurons"]:
        golden = run.golden["examples"][neuron["neuron"]]
        run.same(found["positions"], golden["positions"], "positions")
        for key in ("over", "positive"):
            run.near(neuron[key], golden[key] / golden["positions"], 1e-9, key)
        for key, other in (("largest", "largest"), ("lowest", "smallest")):
            for hit, expected in zip(neuron[key], golden[other]):
                limit = 1e-4 * max(1.0, abs(expected["coefficient"]))
                run.same(hit["row"], expected["position"], f"{neuron['neuron']} {key}")
                run.near(hit["coefficient"], expected["coefficient"], limit, "coefficient")
                around = [t["coefficient"] for t in hit["tokens"]]
                run.same(len(around), len(expected["around"]), "tokens around")
                for x, y in zip(around, expected["around"]):
                    run.near(x, y, 1e-4 * max(1.0, abs(y)), "coefficient of a token around")


def comparison(run, at):
    golden, found = run.golden["compare"], run.take_one(at, "compare")
    output = golden["output"]
    run.near(found["kl"]["mean"], output["kl"], 1e-5, "KL")
    run.near(found["kl"]["max"], output["kl_max"], 1e-4, "largest KL")
    run.near(found["agreement"]["mean"], output["agreement"], 1e-9, "same top token")
    run.near(found["perplexity"]["log_ratio"], output["log_ratio"], 1e-4, "log ratio")
    for side in "ab":
        expected = output[f"perplexity_{side}"]
        run.near(found["perplexity"][side], expected, 1e-4 * expected, f"perplexity of {side}")
    unchanged = golden["saturation"]["unchanged"]
    run.near(found["saturation"]["unchanged"], unchanged, 1e-9, "saturation unchanged")
    for l, (layer, expected) in enumerate(zip(found["layers"], golden["layers"], strict=True)):
        for key in ("kl", "cosine", "distance", "overlap", "coefficient_change"):
            limit = 1e-4 * max(1.0, abs(expected[key]))
            run.near(layer[key], expected[key], limit, f"layer {l}: {key}")
        for key in ("cosine", "least"):
            run.near(layer["values"][key], expected["values"][key], 1e-5, f"layer {l}: value {key}")


def page(run, at):
    """The data of the page, by web/README.md: flat lists of tokens and parts of 100,000."""
    golden = run.golden["page"]
    run.take_one(at, "trace")
    html = (run.folder / "trace.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', html, re.S)[1])
    run.same([data["ids"][t] for t in data["prompt"]], golden["ids"], "prompt of the page")
    for l, (cell, expected) in enumerate(zip(data["cells"][-1], golden["last"], strict=True)):
        for shown, key in zip(cell, ("before", "after")):
            first, second = expected[key]
            run.near(shown[1], 1e5 * first["probability"], 2.0, f"page: layer {l}, {key}")
            if first["probability"] > second["probability"] + 1e-4:
                run.same(data["ids"][shown[0]], first["id"], f"page: layer {l}, {key}")


def lens(run, at):
    measured, traced = run.take_one(at, "lens"), run.take_one(at, "trace")
    by_layer = {l["layer"]: l for l in measured["layers"]}
    for expected in run.golden["lens"]["layers"]:
        layer = expected["layer"]
        for key in ("plain", "lens"):
            found = by_layer[layer][key]
            run.near(found["kl"], expected[key]["kl"], 1e-4 * expected[key]["kl"], f"KL, {key}")
            run.near(found["agreement"], expected[key]["agreement"], 1e-9, f"agreement, {key}")
        after = traced["positions"][0]["layers"][layer]["after"]
        run.tokens(after, expected["after"], 1e-4, f"through the lens, layer {layer}")


def heads(run, at):
    golden, found = run.golden["heads"], run.take_one(at, "attribute")
    run.same(found["token"]["id"], golden["token"], "token")
    for layer, expected in zip(found["heads"], golden["heads"], strict=True):
        for h, (x, y) in enumerate(zip(layer["heads"], expected, strict=True)):
            run.near(x, y, 1e-4, f"head {layer['layer']}:{h} adds")
    head = run.take_one(at, "attribute")["head"]
    run.same(head["head"], golden["head"], "head")
    for s, source in enumerate(head["sources"]):
        run.near(source["weight"], golden["weights"][s], 1e-5, f"weight of position {s}")
        run.near(source["contribution"], golden["sources"][s], 1e-4, f"position {s} adds")
    patched = run.take_one(at, "patch")
    run.same([t["id"] for t in patched["metric_tokens"]], golden["tokens"], "tokens")
    run.near(patched["prompt"]["metric"], golden["whole"], 1e-4, "with all heads")
    for row, expected in zip(patched["grid"], golden["without"], strict=True):
        for h, (x, y) in enumerate(zip(row["metric"], expected, strict=True)):
            run.near(x, y, 1e-4, f"without head {row['layer']}:{h}")


def prompts(run, at):
    golden, found = run.golden["prompts"], run.take(at, "generate")
    run.same(len(found), len(golden["next"]), "prompts")
    for i, (answer, expected) in enumerate(zip(found, golden["next"])):
        if expected is not None:  # another token is as near
            run.same(answer["ids"], [expected], f"prompt {i}")


# Of each section what compares it, and where the golden has its numbers.
CHECKS = {
    "which-neurons-make-it-say-x": (neurons, "neurons"),
    "patching-between-two-prompts": (patching, None),  # MODEL/patch.json
    "a-steering-vector-from-ten-pairs": (steering, "direction"),
    "activations-as-arrays-and-a-probe": (arrays, "arrays"),
    "what-does-this-neuron-fire-on": (examples, "examples"),
    "what-did-quantisation-change": (comparison, "compare"),
    "a-page-to-show": (page, "page"),
    "a-published-lens": (lens, "lens"),
    "which-head-moves-the-answer": (heads, "heads"),
    "a-thousand-prompts": (prompts, "prompts"),
}


def main():
    name, only = sys.argv[1], sys.argv[2:]
    path = os.environ.get(MODELS[name], "")
    if not Path(path).is_file():
        print(f"no model at '{path}': scripts/fetch_model", file=sys.stderr)
        sys.exit(LEFT_OUT)
    with tempfile.TemporaryDirectory() as folder:
        run = Workflows(name, Path(folder))
        numbered = run.page.sections
        if sorted(numbered) != list(range(1, 13)) or set(numbered.values()) != set(CHECKS):
            sys.exit(f"docs/experiments.md: expected rows 1 to 12 of {[*CHECKS]}, got {numbered}")
        run.prepare()
        for section, (check, key) in CHECKS.items():
            if only and section not in only:
                continue
            if key is not None and key not in run.golden:
                print(f"{section}: left out: no golden of it; tests/golden/make_workflows.py")
                continue
            before = run.checked
            run.run(section)
            check(run, section)
            for subcommand, _ in run.results.get(section, []):
                sys.exit(f"docs/experiments.md: #{section}: nothing is compared with what "
                         f"`xlens {subcommand}` finds")
            print(f"{section}: {run.checked - before} numbers compared", flush=True)
    for fault in run.faults[:LARGEST_FAULTS]:
        print(fault)
    if run.left_out:
        print("left out, for these are not installed:", *sorted(set(run.left_out)))
    print(f"{run.checked} compared, {len(run.faults)} differ")
    sys.exit(1 if run.faults else 0)


if __name__ == "__main__":
    main()
