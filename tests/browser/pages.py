"""Opens the pages of `xlens patch`, `compare` and `examples` in Chromium and compares what they
show with --json.

pages.py PROGRAM MODEL GOLDEN [PICTURES]: MODEL is the default model, GOLDEN is tests/golden;
pictures of every page go into the folder PICTURES.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "workflows"))

import inputs  # noqa: E402
from browser import (check, check_contrast, finish, near, same, same_token,  # noqa: E402
                     shown, views)

PROMPT = "When Mary and John went to the store, Mary gave a drink to"
SOURCE = "When Mary and John went to the store, John gave a drink to"
TEXTS = "h1, h2, h3, p, dt, dd, th, td, figcaption, li b, li span, .legend span"


def made(program, folder, command, *arguments):
    """A page of a command, and what --json says of the same run."""
    path = folder / f"{command}-{len(list(folder.iterdir()))}.html"
    out = subprocess.run([program, command, *arguments, "--html", path, "--json"], check=True,
                         capture_output=True, text=True)
    return path, json.loads(out.stdout)


MAPS = """
const text = e => e.textContent;
return [...document.querySelectorAll('figure')].map(f => ({
  name: f.querySelector('figcaption').textContent,
  head: [...f.querySelectorAll('thead th')].slice(1).map(th => ({
    position: th.querySelector('small').textContent, differs: th.className,
    tokens: [...th.querySelectorAll('bdi')].map(text)})),
  rows: [...f.querySelectorAll('tbody tr')].map(tr => ({layer: tr.querySelector('th').textContent,
    cells: [...tr.querySelectorAll('td')].map(td => ({shown: td.textContent, title: td.title,
      depth: Number(td.style.getPropertyValue('--p')), sign: td.className,
      colour: getComputedStyle(td).backgroundColor}))}))}));
"""


def check_patch(browser, found, what):
    """A heat map a site; in each cell the number of --json, coloured by it."""
    rows = {}
    for row in found["grid"]:
        rows.setdefault(row["site"], []).append(row)
    maps = browser.run(MAPS)
    same([m["name"] for m in maps], list(rows), f"{what}: maps")
    of_prompt = found["prompt"]["metric"]
    shares = "normalised" in found["grid"][0]
    differences = [abs(m - of_prompt) for row in found["grid"] for m in row["metric"]]
    full = 1.0 if shares else max(differences)
    by_head = "heads" in found
    names = [f"{'head' if by_head else 'position'} {n}" for n in found["heads" if by_head else
                                                                       "positions"]]
    for one in maps:
        if by_head:
            same([f"{h['position']} {h['tokens'][0]}" for h in one["head"]], names, what)
        else:
            same([f"position {h['position']}" for h in one["head"]], names, what)
        for head, p in zip(one["head"], [] if by_head else found["positions"]):
            own = shown(found["prompt"]["tokens"][p]["text"])
            other = shown(found["source"]["tokens"][p]["text"]) if "source" in found else own
            same(head["tokens"], [own] if own == other else [own, other], f"{what}: token {p}")
            same(head["differs"], "" if own == other else "differs", f"{what}: token {p}")
        same([int(r["layer"]) for r in one["rows"]], [r["layer"] for r in rows[one["name"]]],
             f"{what}: layers")
        for shown_row, row in zip(one["rows"], rows[one["name"]]):
            for j, cell in enumerate(shown_row["cells"]):
                metric = row["metric"][j]
                value = row["normalised"][j] if shares else metric - of_prompt
                here = f"{what}: {one['name']} {row['layer']}, {names[j]}"
                check(f", {names[j]}: " in cell["title"], f"{here}: {cell['title']}")
                near(cell["shown"], value, here)
                near(cell["title"].rpartition(" ")[2], metric, f"{here}: metric", absolute=1e-5)
                check(abs(cell["depth"] - min(1.0, abs(value) / full)) < 1e-3, f"{here}: depth")
                same(cell["sign"], "less" if value < 0 else "more", f"{here}: sign")
    flat = [c for m in maps for r in m["rows"] for c in r["cells"]]
    deep, pale = max(flat, key=lambda c: c["depth"]), min(flat, key=lambda c: c["depth"])
    check(deep["colour"] != pale["colour"], f"{what}: every cell is {deep['colour']}")
    text = browser.run("return document.querySelector('main').textContent")
    check(f"Of the prompt {of_prompt:.4f}" in text, f"{what}: the prompt's metric")


TABLES = """
const tokens = td => [...td.querySelectorAll('bdi')].map(e => e.textContent);
const rows = t => [...t.tBodies[0].rows].map(tr => [...tr.cells].map(td =>
  td.className === 'tokens' ? {tokens: tokens(td),
    numbers: [...td.querySelectorAll('small')].map(e => e.textContent)} : td.textContent));
return {facts: Object.fromEntries([...document.querySelectorAll('dt')].map(dt =>
    [dt.textContent, dt.nextElementSibling.textContent.replace(/\\s+/g, ' ')])),
  tables: [...document.querySelectorAll('table')].map(rows),
  charts: [...document.querySelectorAll('.chart svg, .charts svg')].map(s =>
    ({points: s.querySelectorAll('circle').length, height: s.getBoundingClientRect().height}))};
"""


def check_expected(found, tokens, what):
    same(len(found["tokens"]), len(tokens), what)
    for text, number, token in zip(found["tokens"], found["numbers"], tokens):
        same_token(text, token, what)
        near(number.removesuffix(" %"), 100 * token["probability"], what)


def check_compare(browser, found, what):
    """Figures, a row a position and a value vector, a chart with a point a layer and series."""
    page = browser.run(TABLES)
    facts = page["facts"]
    near(facts["KL(A‖B)"].split(" ")[0], found["kl"]["mean"], f"{what}: KL")
    near(facts["KL(A‖B)"].rpartition(" ")[2], found["kl"]["max"], f"{what}: largest KL")
    near(facts["same top token"].split(" ")[0], 100 * found["agreement"]["mean"], f"{what}: same")
    perplexity = facts["perplexity"].replace(",", "").replace(";", "").split(" ")
    near(perplexity[1], found["perplexity"]["a"], f"{what}: perplexity of A")
    near(perplexity[3], found["perplexity"]["b"], f"{what}: perplexity of B")
    largest, values = page["tables"]
    same(len(largest), len(found["largest"]), f"{what}: positions")
    for row, one in zip(largest, found["largest"]):
        here = f"{what}: position {one['predicted']}"
        near(row[0], one["kl"], f"{here}: KL")
        same(int(row[1]), one["predicted"], here)
        for text, token in zip(row[2]["tokens"], (one["read"], one["next"])):
            same_token(text, token, here)
        near(row[3].removesuffix(" %"), 100 * one["probability_a"], f"{here}: A")
        near(row[4].removesuffix(" %"), 100 * one["probability_b"], f"{here}: B")
        check_expected(row[5], one["a"], f"{here}: A expects")
        check_expected(row[6], one["b"], f"{here}: B expects")
    same(len(values), len(found["values"]), f"{what}: value vectors")
    for row, one in zip(values, found["values"]):
        same(row[0], one["neuron"], f"{what}: neuron")
        near(row[1], one["cosine"], f"{what}: cosine of {row[0]}")
        for cell, side in ((row[3], "a"), (row[4], "b")):
            for text, number, token in zip(cell["tokens"], cell["numbers"], one[side]):
                same_token(text, token, f"{what}: {row[0]}")
                near(number, token["score"], f"{what}: score of {row[0]}")
    layers = len(found["layers"])
    same([c["points"] for c in page["charts"]], [n * layers for n in (1, 2, 2, 1, 2, 1)],
         f"{what}: points of charts")
    check(min(c["height"] for c in page["charts"]) > 100, f"{what}: a chart is flat")


SECTIONS = """
const list = ol => [...ol.querySelectorAll('li')].map(li => ({m: li.querySelector('b').textContent,
  tokens: [...li.querySelectorAll('bdi span')].map(s => ({text: s.textContent, m: s.title,
    at: s.classList.contains('at'), sign: s.classList[0],
    depth: Number(s.style.getPropertyValue('--a'))}))}));
return [...document.querySelectorAll('section')].map(s => ({name: s.querySelector('h2').textContent,
  words: [...s.querySelectorAll('.tokens')].map(e => e.textContent),
  shares: s.querySelector('.dim').textContent.replace(/\\s+/g, ' '),
  lists: [...s.querySelectorAll('ol')].map(list),
  bars: s.querySelectorAll('svg rect').length}));
"""


def check_hits(found, hits, what):
    if not hits:  # the list says "none"
        same([(one["m"], one["tokens"]) for one in found], [("", [])], f"{what}: none")
        return
    same(len(found), len(hits), f"{what}: examples")
    most = abs(hits[0]["coefficient"])
    for one, hit in zip(found, hits):
        here = f"{what}: token {hit['position']}"
        near(one["m"], hit["coefficient"], here, relative=5e-3)
        same(len(one["tokens"]), len(hit["tokens"]), f"{here}: context")
        same([t["at"] for t in one["tokens"]].index(True), hit["at"], f"{here}: the example")
        for seen, token in zip(one["tokens"], hit["tokens"]):
            if "\ufffd" not in token["text"]:
                same(seen["text"], token["text"].replace("\n", "⏎"), f"{here}: text")
            near(seen["m"], token["coefficient"], f"{here}: m", relative=5e-3, absolute=1e-9)
            same(seen["sign"], "down" if token["coefficient"] < 0 else "up", f"{here}: sign")
            depth = min(abs(token["coefficient"]) / most, 1.0)
            check(abs(seen["depth"] - depth) < 0.0051, f"{here}: depth {seen['depth']}")


def check_examples(browser, found, what):
    """A section a neuron: its concept, its shares, its histogram, and examples of both signs."""
    sections = browser.run(SECTIONS)
    same([s["name"] for s in sections], [n["neuron"] for n in found["neurons"]], f"{what}: neurons")
    for section, one in zip(sections, found["neurons"]):
        here = f"{what}: {one['neuron']}"
        for words, end in zip(section["words"], ("promotes", "suppresses")):
            first = shown(one[end][0]["text"])
            check(first is None or words.startswith(first), f"{here}: {end} {words}")
        check(section["bars"] >= len(one["histogram"]), f"{here}: {section['bars']} bars")
        check_hits(section["lists"][0], one["largest"], f"{here}, largest")
        check_hits(section["lists"][1], one["lowest"], f"{here}, lowest")
    bold = browser.run("return [...document.querySelectorAll('li .at')].map(e => [e, 'up', 'down']"
                       ".length)")
    same(len(bold), sum(len(n[end]) for n in found["neurons"] for end in ("largest", "lowest")),
         f"{what}: examples that stand out")


def main():
    program, model, golden = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).resolve()
    pictures = pathlib.Path(sys.argv[4]) if len(sys.argv) > 4 else None
    text = golden / "smollm2" / "perplexity.txt"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        page = lambda *arguments: made(program, folder, *arguments)
        other = folder / "other.gguf"
        inputs.write_coarser(model, other)
        all_of = {
            "patch": (check_patch, page("patch", model, "--prompt", PROMPT, "--source", SOURCE,
                                        "--tokens", " John, Mary")),
            "ablation": (check_patch, page("patch", model, "--prompt", PROMPT, "--ablate", "zero",
                                           "--sites", "ffn_out", "--layers", "0-5")),
            "heads": (check_patch, page("patch", model, "--prompt", PROMPT, "--source", SOURCE,
                                        "--sites", "head_outputs", "--positions", "0,10-13")),
            "compare": (check_compare, page("compare", model, other, "--file", text, "--limit",
                                            "60")),
            "examples": (check_examples, page("examples", model, "22:916,29:1189", "--file", text,
                                              "--top", "4")),
        }
        paths = {name: path for name, (_, (path, _)) in all_of.items()}
        for browser, name, what in views(paths, pictures):
            looks, (_, found) = all_of[name]
            looks(browser, found, what)
            check_contrast(browser, what, TEXTS)
    finish()


main()
