"""Opens pages of `xlens trace --html`, and a report of `xlens events`, in Chromium and checks what
a person would see.

trace_report.py PROGRAM MODEL GOLDEN [PICTURES]: MODEL is the default model, GOLDEN is tests/golden;
pictures of every page go into the folder PICTURES. Numbers are compared with `trace --json`.
"""

import itertools
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from selenium.webdriver.common.keys import Keys

from browser import check, check_contrast, finish, near, same, same_token, views

PROMPT = "The capital of France is"
EXIT_PROMPT = "The capital of France is Paris, and the capital of Italy is Rome, and the"

# Tokens that would break a page which trusts them, as bytes.
HOSTILE = [
    b"</script><script>window.hacked=1</script>",
    b"<!--<script>",
    b"<img src=x onerror=window.hacked=1>",
    b"\" onmouseover='window.hacked=1' x=\"",
    b"&lt;b&gt;&amp;",
    b"back\\slash\\u003c",
    b"  two leading spaces",
    b"a\tb\nc\rd",
    b"\x00\x1b[31m\x7f",
    b"\xff\xfe broken \xe6\x97",
    "\u202eturned around\u202c".encode(),
    "שלום עולם".encode(),
    "مرحبا".encode(),
    "\u2028\u2029".encode(),
    "日本語 😀".encode(),
    b"x" * 300,
    b"{{constructor}}${1+1}",
]
HOSTILE_SHOWN = [
    "</script><script>window.hacked=1</script>",
    "<!--<script>",
    "<img␣src=x␣onerror=window.hacked=1>",
    "\"␣onmouseover='window.hacked=1'␣x=\"",
    "&lt;b&gt;&amp;",
    "back\\slash\\u003c",
    "␣␣two␣leading␣spaces",
    "a⇥b⏎c␍d",
    "␀␛[31m␡",
    "\\xff\\xfe␣broken␣\\xe6\\x97",
    "<202E>turned␣around<202C>",
    "שלום␣עולם",
    "مرحبا",
    "<2028><2029>",
    "日本語␣😀",
    "x" * 300,
    "{{constructor}}${1+1}",
]

class Pages:
    """Makes pages with the program, in a folder of their own."""

    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)

    def make(self, name, *arguments):
        path = self.folder / f"{name}.html"
        out = subprocess.run(
            [self.program, "trace", *arguments, "--html", path, "--json"],
            check=True, capture_output=True, text=True,
        )
        return path, json.loads(out.stdout)

    def events(self, model, text):
        """A report, and what `events --json` says."""
        out = subprocess.run(
            [self.program, "events", model, "--file", text, "--limit", "40", "--window", "20",
             "--threshold", "3", "-o", self.folder / "events", "--json"],
            check=True, capture_output=True, text=True,
        )
        return self.folder / "events" / "report.html", json.loads(out.stdout)

    def hostile_model(self, golden):
        """A tiny random checkpoint with a tokenizer of single bytes and hostile tokens."""
        model = self.folder / "hostile"
        shutil.copytree(golden / "models" / "llama" / "hf", model)
        size = json.loads((model / "config.json").read_text())["vocab_size"]
        visible = [b for b in range(256) if 0x21 <= b <= 0x7E or (b >= 0xA1 and b != 0xAD)]
        others = iter(range(0x100, 0x200))
        letters = {b: chr(b) if b in visible else chr(next(others)) for b in range(256)}
        spell = lambda text: "".join(letters[b] for b in text)
        words = [letters[b] for b in range(256)] + [spell(text) for text in HOSTILE]
        words += [f"word{i}" for i in range(size - len(words))]
        level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
        tokenizer = {
            "version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": level,
            "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "vocab": {w: i for i, w in enumerate(words)}, "merges": []},
        }
        (model / "tokenizer.json").write_text(json.dumps(tokenizer))
        return model, 256


CELLS = """
return [...document.querySelectorAll('#grid tbody tr')].map(row => [...row.cells].slice(1).map(td =>
  ({token: td.querySelector('.tok').textContent, chance: td.querySelector('small').textContent,
    eliminates: td.classList.contains('eliminates'),
    saturation: td.classList.contains('saturation'),
    exit: td.classList.contains('exit'), edge: getComputedStyle(td, '::after').height,
    final: td.classList.contains('final'), label: td.ariaLabel, role: td.getAttribute('role')})));
"""

PANEL = """
const texts = (within, selector) => [...within.querySelectorAll(selector)].map(e => e.textContent);
const list = id => [...document.querySelectorAll(id + ' li')].map(li =>
  [li.querySelector('.tok').textContent, li.querySelector('small').textContent,
   Number(li.style.getPropertyValue('--p'))]);
return {where: document.querySelector('#where').textContent,
  summary: document.querySelector('#summary').textContent,
  before: list('#before'), after: list('#after'),
  promoted: list('#promoted'), demoted: list('#demoted'),
  updates: [...document.querySelectorAll('.update')].map(u => ({figures: texts(u, '.figures span'),
    promotes: texts(u, '.promotes .tok'), suppresses: texts(u, '.suppresses .tok')}))};
"""


def check_grid(browser, trace, what):
    grid = browser.run(CELLS)
    positions = trace["positions"]
    same((len(grid), len(grid[0])), (len(positions[0]["layers"]), len(positions)), f"{what}: size")
    for (l, row), (p, position) in itertools.product(enumerate(grid), enumerate(positions)):
        cell, layer = row[p], position["layers"][l]
        top, here = layer["after"][0], f"{what}: cell {p},{l}"
        same_token(cell["token"], top, here)
        if cell["chance"] == "<1":
            check(top["probability"] < 0.00501, here)
        else:
            near(cell["chance"], 100 * top["probability"], here)
        eliminates = layer["before"][0]["id"] != top["id"]
        same(cell["eliminates"], eliminates, f"{here}: elimination")
        same("eliminates" in cell["label"], eliminates, f"{here}: label")
        same(cell["saturation"], l == position["saturation_layer"], f"{here}: saturation")
        leaves = l == position.get("exit_layer") and l + 1 < len(grid)
        same(cell["exit"], leaves, f"{here}: exit")
        same(cell["edge"] == "3px", leaves, f"{here}: the line of an exit")
        same("early exit" in cell["label"], leaves, f"{here}: label of an exit")
        same(cell["final"], top["id"] == position["prediction"][0]["id"], f"{here}: final token")
        same(cell["role"], "gridcell", f"{here}: role")
    same(browser.run("return ['rowcount', 'colcount'].map(n => Number("
                     "document.querySelector('#grid').getAttribute('aria-' + n)))"),
         [len(grid) + 1, len(positions) + 1], f"{what}: counts")
    same(browser.run("return ['grid', 'columnheader', 'rowheader', 'row'].map(r => "
                     "document.querySelectorAll(`[role=${r}]`).length)"),
         [1, len(positions) + 1, len(grid), len(grid) + 1], f"{what}: roles")


def check_changes(panel, layer, what):
    was = {t["id"]: t for t in layer["before"]}
    now = {t["id"]: t for t in layer["after"]}
    by = {i: now.get(i, {"probability": 0})["probability"] -
          was.get(i, {"probability": 0})["probability"] for i in {**was, **now}}
    grown = max(by, key=by.get)
    if by[grown] > 2e-5:
        same_token(panel["promoted"][0][0], now[grown], f"{what}: promoted")
        near(panel["promoted"][0][1].split(" → ")[1], 100 * now[grown]["probability"],
             f"{what}: promoted to", absolute=1e-3)
    first = layer["before"][0]
    if first["id"] != layer["after"][0]["id"]:
        same_token(panel["demoted"][0][0].removeprefix("✗ "), first, f"{what}: eliminated")
        check("loses rank 1" in panel["summary"], f"{what}: summary")
    else:
        check("stays on top" in panel["summary"], f"{what}: summary")


def check_panel(browser, trace, p, l, what):
    panel, position = browser.run(PANEL), trace["positions"][p]
    layer, here = position["layers"][l], f"{what}: chosen {p},{l}"
    check(panel["where"].startswith(f"Layer {l}, position {position['position']} "), here)
    for side in ("before", "after"):
        same(len(panel[side]), len(layer[side]), f"{here}: {side}")
        for found, token in zip(panel[side], layer[side]):
            same_token(found[0], token, f"{here}: {side}")
            near(found[1], 100 * token["probability"], f"{here}: {side}", absolute=1e-3)
            check(abs(found[2] - token["probability"]) < 1e-4, f"{here}: bar of {found[0]}")
    check_changes(panel, layer, here)
    same(len(panel["updates"]), len(layer["sub_updates"]), f"{here}: sub-updates")
    for found, one in zip(panel["updates"], layer["sub_updates"]):
        neuron, m, norm, dominance = (text.split(" ")[-1] for text in found["figures"])
        same(neuron, one["neuron"], here)
        near(m, one["coefficient"], f"{here}: m of {neuron}")
        near(norm, one["norm"], f"{here}: norm of {neuron}")
        near(dominance, one["dominance"], f"{here}: dominance of {neuron}")
        ends = ("promotes", "suppresses")
        for end, of in zip(ends, ends if one["coefficient"] >= 0 else ends[::-1]):
            same(len(found[end]), len(one[of]), f"{here}: {end}")
            for text, token in zip(found[end], one[of]):
                same_token(text, token, f"{here}: {neuron} {end}")


STRIPS = """
return [...document.querySelectorAll('#strips .strip')].map(row =>
  [row.querySelector('span').textContent, row.querySelector('.tok').textContent,
   row.querySelector('small').textContent, row.getAttribute('aria-pressed'),
   row.querySelector('.heat').offsetWidth]);
"""
SHADED = """
return [...document.querySelectorAll('#shaded .tok')].map(tok =>
  [tok.textContent, Number(tok.style.getPropertyValue('--w')) ** 2]);
"""


def check_attention(browser, of, trace, p, l, what):
    """The chosen cell's heads, beside what `attribute --head` says of their weights."""
    browser.tap(browser.cell(p, l))
    check(not browser.find("#unpatterned").is_displayed(), f"{what}: says that there is none")
    if not browser.find("#strips").is_displayed():
        browser.tap(browser.find("#attention summary"))
    # A tap, and the opening that it makes, reach the page a moment later.
    browser.until("return document.querySelector('#strips .strip') !== null")
    strips, position = browser.run(STRIPS), trace["positions"][p]["position"]
    for head in (0, len(strips) - 1):
        browser.tap(browser.find(f'[data-h="{head}"]'))
        browser.until("return document.querySelector('.strip[aria-pressed=true]').dataset.h"
                      " === arguments[0]", str(head))
        strips, shaded = browser.run(STRIPS), browser.run(SHADED)
        same([s[3] for s in strips].index("true"), head, f"{what}: the chosen head")
        sources = of.sources(f"{l}:{head}", position)
        here = f"{what}: head {l}:{head} at {position}"
        same(len(shaded), position + 1, here)
        for (text, weight), source in zip(shaded, sources):
            same_token(text, source["token"], here)
            check(abs(weight - source["weight"]) < 0.004, f"{here}: {text} {weight}")
        most = max(s["weight"] for s in sources)
        number, token, share, _, width = strips[head]
        same(number, str(head), here)
        check(abs(float(share.rstrip("%")) - 100 * most) < 0.71, f"{here}: {share} of {token}")
        check(width > 60, f"{here}: a strip of {width} pixels")


class Sources:
    """What `xlens attribute --head` says of one prompt."""

    def __init__(self, program, *prompt):
        self.program, self.prompt = program, prompt

    def sources(self, head, position):
        out = subprocess.run(
            [self.program, "attribute", *self.prompt, "--head", head, "--position", str(position),
             "--limit", "0", "--json"],
            check=True, capture_output=True, text=True,
        )
        return json.loads(out.stdout)["head"]["sources"]


def check_exits(browser, trace, what):
    """Where each position would leave: in the legend, in the grid and in words."""
    last = len(trace["positions"][0]["layers"]) - 1
    check(browser.find("#exit-key").is_displayed(), f"{what}: no legend")
    leaving = [p for p, one in enumerate(trace["positions"]) if one["exit_layer"] < last]
    staying = [p for p, one in enumerate(trace["positions"]) if one["exit_layer"] == last]
    check(leaving and staying, f"{what}: expected positions that leave and others")
    summary = lambda: browser.run(PANEL)["summary"]
    for p in leaving[:3]:
        leaves = trace["positions"][p]["exit_layer"]
        browser.tap(browser.cell(p, leaves))
        check("this position would leave here" in summary(), f"{what}: {summary()}")
        browser.tap(browser.cell(p, leaves + 1))
        check(f"after layer {leaves}; this layer would not run" in summary(),
              f"{what}: {summary()}")
        browser.tap(browser.cell(p, leaves - 1))
        check(f"Early exit: after layer {leaves}." in summary(), f"{what}: {summary()}")
    browser.tap(browser.cell(staying[0], last))
    check("Early exit: none" in summary(), f"{what}: {summary()}")


def check_keyboard(browser, trace, what):
    positions, layers = len(trace["positions"]), len(trace["positions"][0]["layers"])
    browser.tap(browser.cell(1, 1))
    moves = [
        ((Keys.ARROW_RIGHT,), (2, 1)), ((Keys.ARROW_DOWN,), (2, 2)), ((Keys.ARROW_LEFT,), (1, 2)),
        ((Keys.ARROW_UP,), (1, 1)), ((Keys.PAGE_DOWN,), (1, 6)), ((Keys.PAGE_UP,), (1, 1)),
        ((Keys.HOME,), (0, 1)), ((Keys.ARROW_LEFT,), (0, 1)), ((Keys.END,), (positions - 1, 1)),
        ((Keys.CONTROL, Keys.END), (positions - 1, layers - 1)),
        ((Keys.ARROW_DOWN,), (positions - 1, layers - 1)), ((Keys.CONTROL, Keys.HOME), (0, 0)),
    ]
    for keys, to in moves:
        browser.press(*keys)
        same(browser.chosen(), to, f"{what}: key {keys!r}")
        same(browser.run("const a = document.activeElement; return [a.dataset.p, a.dataset.l, "
                         "a.tabIndex,"
                         "document.querySelectorAll('#grid td[tabindex=\"0\"]').length]"),
             [str(to[0]), str(to[1]), 0, 1], f"{what}: focus after {keys!r}")
        check(in_view(browser), f"{what}: {to} is hidden")
    check_panel(browser, trace, 0, 0, what)


def in_view(browser):
    """Is the middle of the chosen cell what one sees there, and not a label above it?"""
    return browser.run(
        "const td = document.querySelector('#grid [aria-selected=true]');"
        "const r = td.getBoundingClientRect();"
        "return [[.1, .1], [.5, .5], [.9, .5]].every(([x, y]) => td.contains("
        "document.elementFromPoint(r.left + x * r.width, r.top + y * r.height)))")


def check_steps(browser, what):
    browser.tap(browser.cell(1, 1))
    for step, to in (("1,0", (2, 1)), ("0,1", (2, 2)), ("-1,0", (1, 2)), ("0,-1", (1, 1))):
        browser.tap(browser.find(f'[data-step="{step}"]'))
        same(browser.chosen(), to, f"{what}: button {step}")
    browser.tap(browser.cell(0, 0))
    check(not browser.find('[data-step="-1,0"]').is_enabled(), f"{what}: a step out of the grid")


TRACE_TEXTS = (
    "h1, h2, h3, .about, .legend span, .summary, .note, #grid th, #grid td small, .tok, "
    ".bars small, .strip span, .strip small, summary, .changes small, .figures span, .ends span, "
    "abbr"
)
EVENTS_TEXTS = "h1, h2, p, th, td, figcaption, .legend span"


def check_short(browser, path, trace, what):
    last = len(trace["positions"]) - 1
    same(browser.chosen(), (last, trace["positions"][last]["saturation_layer"]), f"{what}: start")
    check(in_view(browser), f"{what}: the first choice is hidden")
    check_grid(browser, trace, what)
    table = browser.find("#grid").size
    for p, l in ((0, 0), (1, 9), (2, 23), (3, 26), (4, 28), (4, 29)):
        browser.tap(browser.cell(p, l))
        same(browser.chosen(), (p, l), f"{what}: choosing")
        check_panel(browser, trace, p, l, what)
    same(browser.find("#grid").size, table, f"{what}: the grid's size")
    check_keyboard(browser, trace, what)
    check_steps(browser, what)
    check_contrast(browser, what, TRACE_TEXTS)
    same(browser.run("return document.querySelectorAll('#exit-key').length"), 0,
         f"{what}: a legend of exits")
    browser.driver.get(path.as_uri() + "#p2l7")
    same(browser.chosen(), (2, 7), f"{what}: the cell of an address")


def check_long(browser, trace, what):
    """Scrolls sideways under the layers' labels."""
    check_grid(browser, trace, what)
    where = ("const box = document.querySelector('.scroller'), view = box.getBoundingClientRect();"
             "box.scrollLeft = box.scrollWidth / 2; box.scrollTop = box.scrollHeight / 2;"
             "const row = document.querySelectorAll('#grid tbody th')[20];"
             "const label = row.getBoundingClientRect();"
             "const head = document.querySelector('#grid thead th').getBoundingClientRect();"
             "return [box.scrollWidth > 2 * box.clientWidth, box.scrollLeft > 0,"
             "Math.abs(label.left - view.left) < 2, Math.abs(head.top - view.top) < 2,"
             "label.width > 20]")
    same(browser.run(where), [True] * 5, f"{what}: scrolling")
    browser.tap(browser.cell(100, 12))
    check_panel(browser, trace, 100, 12, what)
    browser.press(Keys.CONTROL, Keys.END)
    check(in_view(browser), f"{what}: the last cell is hidden")


def check_hostile(browser, first, what):
    same(browser.run("return [window.hacked ?? 0, document.querySelectorAll('script').length,"
                     "document.querySelectorAll('img, b b').length]"), [0, 2, 0], f"{what}: markup")
    found = browser.run("return [...document.querySelectorAll('#grid thead .tok')]"
                        ".map(e => e.textContent)")
    same(found, HOSTILE_SHOWN, f"{what}: tokens")
    same(browser.run("const d = JSON.parse(document.querySelector('#data').textContent);"
                     "return d.prompt.map(t => d.ids[t])"),
         list(range(first, first + len(HOSTILE))), f"{what}: ids")


def check_events(browser, found, what):
    """The report of events: a row a value vector, a chart with a point a layer and series."""
    rows, points, boxes = browser.run(
        "const all = (name, of) => [...document.querySelectorAll(name)].map(of);"
        "return [all('table', t => t.tBodies[0].rows.length),"
        "  all('.chart svg', s => s.querySelectorAll('circle').length),"
        "  all('.chart svg', s => s.getBoundingClientRect().height)]")
    same(rows, [16, min(30, len(found["functional"]["neurons"]))], f"{what}: rows")
    layers = found["layers"]
    same(len(points), 7, f"{what}: charts")
    same([points[i] for i in (0, 1, 4, 5, 6)], [n * layers for n in (3, 3, 2, 2, 1)],
         f"{what}: points")
    check(min(boxes) > 100, f"{what}: a chart is {min(boxes)} high")


def main():
    program, model, golden = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]).resolve()
    pictures = pathlib.Path(sys.argv[4]) if len(sys.argv) > 4 else None
    with tempfile.TemporaryDirectory() as folder:
        pages = Pages(program, folder)
        hostile, first = pages.hostile_model(golden)
        sources = Sources(program, model, "--prompt", PROMPT)
        made = {
            "short": pages.make("short", model, "--prompt", PROMPT),
            "one": pages.make("one", model, "--prompt", PROMPT, "--positions", "last"),
            "exits": pages.make("exits", model, "--prompt", EXIT_PROMPT, "--exit", "stable"),
            "long": pages.make("long", model, "--ids", ",".join(str(7 * i) for i in range(200)),
                               "--top", "2", "--sub-updates", "2"),
            "hostile": pages.make("hostile", hostile, "--ids",
                                  ",".join(str(first + i) for i in range(len(HOSTILE)))),
            "events": pages.events(model, golden / "smollm2" / "perplexity.txt"),
        }
        paths = {name: path for name, (path, _) in made.items()}
        for browser, name, what in views(paths, pictures):
            path, trace = made[name]
            if name == "short":
                check_short(browser, path, trace, what)
                for p, l in ((4, 20), (2, 0)):
                    check_attention(browser, sources, trace, p, l, what)
                check_contrast(browser, what, TRACE_TEXTS)
            elif name == "one":
                check_grid(browser, trace, what)
                check_panel(browser, trace, *browser.chosen(), what)
            elif name == "exits":
                check_grid(browser, trace, what)
                check_exits(browser, trace, what)
                check_contrast(browser, what, TRACE_TEXTS)
            elif name == "long":
                check_long(browser, trace, what)
                check(browser.find("#unpatterned").is_displayed(), f"{what}: attention")
            elif name == "events":
                check_events(browser, trace, what)
                check_contrast(browser, what, EVENTS_TEXTS)
            else:
                check_hostile(browser, first, what)
                check_contrast(browser, what, TRACE_TEXTS)
    finish()


main()
