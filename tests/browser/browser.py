"""Chromium without a window, and what is checked of every page that it opens."""

import functools
import http.server
import itertools
import pathlib
import re
import sys
import threading
import time

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.chrome.service import Service

SIZES = {"laptop": (1366, 768), "phone": (390, 844)}
SCHEMES = ("light", "dark")
PIECES = 16  # of a page that arrives slowly

failures = []
done = [0]  # checks


def check(true, what):
    done[0] += 1
    if not true:
        failures.append(what)


def same(found, expected, what):
    check(found == expected, f"{what}: expected {expected!r}, got {found!r}")


def near(text, number, what, relative=1e-3, absolute=0.0):
    """A number as shown ("77.3%", "−24.93", "<0.01%") beside the one it stands for."""
    digits = re.sub("[%<+]", "", text).replace("−", "-")
    allowed = absolute + relative * abs(number) + 0.5001 * 10.0 ** -len(digits.partition(".")[2])
    if text.startswith("<"):
        check(number < float(digits) + allowed, f"{what}: {text} for {number}")
    else:
        check(abs(float(digits) - number) <= allowed, f"{what}: {text} for {number}")


def shown(text):
    """A token of --json as the page spells it; None where bytes were lost on the way to JSON."""
    if "\ufffd" in text or any(0x7F <= ord(c) < 0xA1 for c in text):
        return None
    pictures = {" ": "␣", "\n": "⏎", "\t": "⇥"}
    return "".join(pictures.get(c) or (chr(0x2400 + ord(c)) if c < " " else c) for c in text)


def same_token(found, token, what):
    expected = shown(token["text"])
    if expected is not None:
        same(found, expected, what)


class Slowly(http.server.BaseHTTPRequestHandler):
    """Sends a file piece by piece, so that a browser draws what has arrived so far."""

    def do_GET(self):
        path = pathlib.Path(self.path)
        if path.suffix != ".html":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        page = path.read_bytes()
        for i in range(PIECES):
            self.wfile.write(page[len(page) * i // PIECES:len(page) * (i + 1) // PIECES])
            time.sleep(0.04)

    def log_message(self, *_):
        pass


@functools.cache
def slow_server():
    """The address of one."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slowly)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class Browser:
    """Chromium without a window, of one size."""

    def __init__(self, size):
        self.size = size
        width, height = SIZES[size]
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        metrics = {"width": width, "height": height, "pixelRatio": 2, "mobile": True, "touch": True}
        if size == "phone":
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        if size == "laptop":
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def open(self, path, scheme):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.driver.get("about:blank")
        self.driver.get(path.as_uri())

    def open_slowly(self, path):
        """What moves while a page arrives: a busy machine shows the same of a file."""
        self.driver.get("about:blank")
        self.driver.get(slow_server() + str(path.resolve()))
        return self.shift()

    def shift(self):
        """How far things moved by themselves since the page was opened (layout-shift, summed)."""
        return self.driver.execute_async_script(
            "const done = arguments[0]; let sum = 0;"
            "new PerformanceObserver(list => list.getEntries().forEach(e => sum += e.value))"
            "  .observe({type: 'layout-shift', buffered: true});"
            "setTimeout(() => done(sum), 100)")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, script, *arguments):
        """Waits two seconds at most for what the script returns to be true."""
        for _ in range(40):
            if self.run(script, *arguments):
                return
            time.sleep(0.05)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def cell(self, position, layer):
        return self.find(f'#grid td[data-p="{position}"][data-l="{layer}"]')

    def tap(self, element):
        self.run("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", element)
        if self.size == "laptop":
            element.click()
            return
        at = self.run("const r = arguments[0].getBoundingClientRect();"
                      "return {x: r.left + r.width / 2, y: r.top + r.height / 2}", element)
        cdp = self.driver.execute_cdp_cmd
        cdp("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
        cdp("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def press(self, *keys):
        actions = ActionChains(self.driver)
        for key in keys[:-1]:
            actions.key_down(key)
        actions.send_keys(keys[-1])
        for key in keys[:-1]:
            actions.key_up(key)
        actions.perform()

    def chosen(self):
        return tuple(self.run("const td = document.querySelector('#grid [aria-selected=true]');"
                              "return [Number(td.dataset.p), Number(td.dataset.l)]"))


def sound(browser, what):
    """What holds for every page: no errors, no requests, nothing beside the window, no shifts."""
    errors = [e["message"] for e in browser.driver.get_log("browser") if e["level"] != "DEBUG"]
    same(errors, [], f"{what}: console")
    same(browser.run("return performance.getEntriesByType('resource').length"), 0,
         f"{what}: requests")
    wide, window = browser.run(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    check(wide <= window, f"{what}: the body is {wide} wide, the window {window}")
    same(browser.shift(), 0, f"{what}: layout shift")


CONTRAST = """
const parse = c => {
  const srgb = c.startsWith('color(');
  const n = c.match(/-?[\\d.]+(e-?\\d+)?/g).map(Number);
  return srgb ? [255 * n[0], 255 * n[1], 255 * n[2], n[3] ?? 1] : [n[0], n[1], n[2], n[3] ?? 1];
};
const over = (a, b) => a.slice(0, 3).map((v, i) => v * a[3] + b[i] * (1 - a[3]));
const light = c => {
  const [r, g, b] = c.map(v => (v /= 255, v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4));
  return .2126 * r + .7152 * g + .0722 * b;
};
const behind = e => {
  const own = parse(getComputedStyle(e).backgroundColor);
  if (own[3] >= 1) return own.slice(0, 3);
  return over(own, e.parentElement ? behind(e.parentElement) : [255, 255, 255]);
};
let least = [99, ''];
for (const e of document.querySelectorAll(arguments[0])) {
  if (!e.textContent || e.closest('[hidden]')) continue;
  const back = behind(e), front = over(parse(getComputedStyle(e).color), back);
  const [a, b] = [light(front), light(back)];
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < least[0]) least = [ratio, e.className + ' ' + e.textContent.slice(0, 30)];
}
return least;
"""

def views(pages, pictures):
    """Opens each of the pages (name: path) in every size and scheme; gives the browser, the name
    and what the view is called, for what is to be checked of that page alone. Pictures go to that
    folder, if there is one."""
    for size in SIZES:
        browser = Browser(size)
        for scheme, (name, path) in itertools.product(SCHEMES, pages.items()):
            what = f"{name}, {size}, {scheme}"
            before = len(failures)
            if scheme == SCHEMES[0]:
                same(browser.open_slowly(path), 0, f"{what}: layout shift as it arrives")
                browser.driver.get_log("browser")
            browser.open(path, scheme)
            sound(browser, what)
            if pictures:
                pictures.mkdir(parents=True, exist_ok=True)
                browser.driver.save_screenshot(str(pictures / f"{name}-{size}-{scheme}.png"))
            yield browser, name, what
            same([e["message"] for e in browser.driver.get_log("browser")], [],
                 f"{what}: console at the end")
            print(f"{what}: {'fine' if len(failures) == before else 'wrong'}", flush=True)
        browser.driver.quit()


def check_contrast(browser, what, texts):
    ratio, where = browser.run(CONTRAST, texts)
    check(ratio >= 4.5, f"{what}: contrast {ratio:.2f} of '{where}'")


def finish():
    """Says what failed, and ends the program."""
    print(*failures[:40], sep="\n")
    print(f"{done[0]} checks, {len(failures)} failed")
    sys.exit(1 if failures else 0)
