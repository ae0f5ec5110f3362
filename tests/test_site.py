"""Every page of the built documentation: links, images, mathematics, errors, width on a phone."""

import json
import os
import re
import shutil
import subprocess
import threading
from functools import partial
from html import unescape
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

SITE = Path(__file__).parent.parent / "docs" / "_build" / "html"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
TIMEOUT = 600  # seconds for all pages

if not (SITE / "index.html").exists():
    if os.environ.get("GEMCLUST_SITE_NEEDED"):  # set by make docs
        pytest.fail(f"the site is not built: no {SITE / 'index.html'}", pytrace=False)
    pytest.skip("the site is not built: make docs", allow_module_level=True)

PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
# No page of its own: what the theme fills in by a script.
PAGES = [page for page in PAGES if not page.startswith("_static/")]


class Page(HTMLParser):
    """What a page links to, loads, and can be linked at."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        elif tag == "link" and attributes.get("rel") == "stylesheet":
            self.loaded.append(attributes["href"])
        elif tag in ("img", "script", "source", "iframe") and attributes.get("src"):
            self.loaded.append(attributes["src"])
        for entry in (attributes.get("srcset") or "").split(","):
            self.loaded += entry.split()[:1]


@pytest.fixture(scope="module")
def pages():
    return {name: Page(SITE / name) for name in PAGES}


def target(page, link):
    """File and anchor that a link of a page leads to; None if it leads out of the site."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    path = (SITE / page).parent / unquote(parts.path) if parts.path else SITE / page
    path = path.resolve()
    return (path / "index.html" if path.is_dir() else path), unquote(parts.fragment)


def test_links_lead_somewhere(pages):
    broken = []
    for name, page in pages.items():
        for link in page.links:
            found = target(name, link)
            if found is None:
                continue
            path, anchor = found
            inside = SITE.resolve() in path.parents and path.suffix == ".html"
            known = pages.get(path.relative_to(SITE.resolve()).as_posix()) if inside else None
            if not path.exists() or (known and anchor not in known.anchors):
                broken.append(f"{name}: {link}")
    assert not broken, "\n".join(broken)


def test_all_that_is_loaded_is_in_the_site(pages):
    missing = [
        f"{name}: {link}"
        for name, page in pages.items()
        for link in page.loaded
        if not link.startswith("data:")
        and ((found := target(name, link)) is None or not found[0].exists())
    ]
    assert not missing, "\n".join(missing)


def test_the_gallery_has_pictures(pages):
    examples = [name for name in pages if name.startswith("auto_examples/plot_")]
    assert len(examples) >= 12
    without = [n for n in examples if not any("_images/sphx" in src for src in pages[n].loaded)]
    assert not without


RECORDER = b"""<script>
window.siteErrors = [];
addEventListener("error", event => siteErrors.push(
  event.message || "not loaded: " + (event.target.src || event.target.href)), true);
addEventListener("unhandledrejection", event => siteErrors.push(String(event.reason)));
console.error = console.warn = (...words) => siteErrors.push(words.join(" "));
</script>"""

WALK = """<!doctype html><body><script>
const pages = PAGES, problems = [];
const settled = promise => Promise.race([promise, new Promise(done => setTimeout(done, 20000))]);
async function look(page) {
  const frame = document.createElement("iframe");
  frame.style = "width: 1280px; height: 900px; border: 0";
  const loaded = new Promise(done => frame.onload = done);
  frame.src = "/" + page;
  document.body.append(frame);
  await settled(loaded);
  const view = frame.contentWindow, text = frame.contentDocument;
  const report = what => problems.push(page + ": " + what);
  const article = text.querySelector("article") || text.body;
  const formulas = article.querySelectorAll(".math");
  if (formulas.length) {
    if (!view.MathJax?.startup?.promise) report("no MathJax");
    await settled(view.MathJax?.startup?.promise);
  }
  for (const formula of formulas)
    if (!formula.querySelector("mjx-container") || formula.querySelector("mjx-merror"))
      report("not rendered: " + formula.textContent);
  for (const image of article.querySelectorAll("img")) {
    image.loading = "eager";
    await settled(image.decode().catch(() => report("no image: " + image.src)));
  }
  const brokenHeaders = () => {
    for (const header of article.querySelectorAll("table th")) {
      const words = text.createTreeWalker(header, NodeFilter.SHOW_TEXT);
      while (words.nextNode())
        for (const word of words.currentNode.data.matchAll(/[\\p{L}\\p{N}_]+/gu)) {
          const range = text.createRange();
          range.setStart(words.currentNode, word.index);
          range.setEnd(words.currentNode, word.index + word[0].length);
          const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
          if (lines.size > 1)
            report(`header narrower than "${word[0]}" in ${frame.style.width}`);
        }
    }
  };
  brokenHeaders();
  const prose = article.cloneNode(true);
  const others = prose.querySelectorAll("pre, code, .math, script, style, .output_html");
  others.forEach(part => part.remove());
  for (const raw of prose.textContent.match(/\\\\\\(|\\$\\$|:[a-z]+:`|``|\\]\\(/g) || [])
    report("markup in the text: " + raw);
  frame.style.width = "390px";
  await new Promise(done => setTimeout(done, 50));
  for (const box of [text.documentElement, article, article.parentElement])
    if (box.scrollWidth > box.clientWidth + 1)
      report(`${box.tagName} scrolls on a phone: ${box.scrollWidth} of ${box.clientWidth} pixels`);
  brokenHeaders();
  (view.siteErrors || ["no recorder"]).forEach(report);
  frame.remove();
}
(async () => {
  for (const page of pages) await look(page).catch(error => problems.push(page + ": " + error));
  await fetch("/report", {method: "POST", body: JSON.stringify(problems)});
})();
</script>"""


class Server(SimpleHTTPRequestHandler):
    """The site, with a recorder of errors in each page, and a page that walks through it."""

    def __init__(self, report, *arguments, **settings):
        self.report = report
        super().__init__(*arguments, directory=str(SITE), **settings)

    def do_GET(self):
        path = SITE / unquote(urlsplit(self.path).path.lstrip("/"))
        if self.path == "/walk":
            self.answer(WALK.replace("PAGES", json.dumps(PAGES)).encode())
        elif self.path == "/favicon.ico":
            self.answer(b"")
        elif path.suffix == ".html" and path.exists():
            self.answer(path.read_bytes().replace(b"<head>", b"<head>" + RECORDER, 1))
        else:
            super().do_GET()

    def do_POST(self):
        self.report.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(b"")
        threading.Thread(target=self.server.shutdown).start()

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        """Nothing on the terminal."""


@pytest.mark.skipif(BROWSER is None, reason="WARNING: no browser: pages were not looked at")
def test_pages_in_a_browser(tmp_path):
    report = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, report)) as server:
        command = [BROWSER, "--headless=new", "--disable-gpu", f"--user-data-dir={tmp_path}"]
        if os.name == "posix" and os.geteuid() == 0:
            command.append("--no-sandbox")
        address = f"http://127.0.0.1:{server.server_port}/walk"
        browser = subprocess.Popen(
            [*command, "--remote-debugging-port=0", address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        watch = threading.Timer(TIMEOUT, server.shutdown)
        watch.start()
        try:
            server.serve_forever()
        finally:
            watch.cancel()
            browser.terminate()
            browser.wait()
    assert report, f"the browser did not come through all pages in {TIMEOUT} seconds"
    assert not report[0], "\n".join(report[0])


def test_each_source_has_its_page():
    """Sphinx's own pages, as that of its search, are written over one of the same name."""
    sources = [path for path in SITE.parent.parent.glob("**/*.md") if SITE not in path.parents]
    sources = [path for path in sources if path.read_text(encoding="utf-8").startswith("# ")]
    assert len(sources) > 20
    for source in sources:
        title = source.read_text(encoding="utf-8").splitlines()[0][2:].replace("`", "")
        page = SITE / source.relative_to(SITE.parent.parent).with_suffix(".html")
        heading = page.read_text(encoding="utf-8").partition("<h1>")[2].partition("<a ")[0]
        heading = unescape(re.sub("<[^>]*>", "", heading)).replace("’", "'")
        assert heading == title
