"The docs site is built from the notebooks alone, has a page for every module, and asks no other machine for anything."

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import docs
import pytest
from places import EXPORTED, NOTEBOOKS, PACKAGE, ROOT


class Loads(HTMLParser):
    "Collects what a page makes a browser fetch: not where its links lead."

    ATTRIBUTES = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}  # noqa: RUF012

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        address = dict(attributes).get(self.ATTRIBUTES.get(tag, ""))
        self.found += [address] if address else []


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "tools/docs.py", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def contents(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    "kind", ["a thesis", "a file", "a folder of folders", "another's site", "a link"]
)
def test_nothing_but_a_site_of_ours_is_deleted(tmp_path, monkeypatch, kind):
    out = tmp_path / "out"
    (tmp_path / "other" / "sub").mkdir(parents=True)
    (tmp_path / "other" / "sub" / "chapter.tex").write_text("years of work")
    if kind == "a file":
        out.write_text("years of work")
    elif kind == "a link":
        out.symlink_to(tmp_path / "other")
    else:
        (tmp_path / "other").rename(out)
    if kind == "a thesis":
        (out / "sub" / "chapter.tex").rename(out / "chapter.tex")
    if kind == "another's site":
        (out / "objects.inv").write_bytes(b"# Sphinx inventory version 2\n# Project: theirs\n")
    before = contents(tmp_path)
    monkeypatch.setattr(docs, "write_source", lambda source: pytest.fail("it has begun to build"))
    with pytest.raises(SystemExit, match="holds something else than this site: choose a new folder"):
        docs.main(out)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", ["new", "empty", "ours"])
def test_a_site_of_ours_is_replaced_when_the_new_one_is_built(tmp_path, monkeypatch, kind):
    "And stays where the new one cannot be built."
    out = tmp_path / "folders" / "out"
    if kind != "new":
        out.mkdir(parents=True)
    if kind == "ours":
        (out / "objects.inv").write_bytes(b"# Sphinx inventory version 2\n# Project: t2i_learn\n")
    before = contents(tmp_path)

    class Site:
        statuscode = 1

        def __init__(self, source, config, built, *rest, **options):
            self.built = Path(built)

        def build(self):
            self.built.mkdir()
            (self.built / "index.html").write_text("new")

    monkeypatch.setattr(docs, "write_source", lambda source: None)
    monkeypatch.setattr(docs, "Sphinx", Site)
    with pytest.raises(docs.typer.Exit):
        docs.main(out)
    assert contents(tmp_path) == before
    Site.statuscode = 0
    docs.main(out)
    assert contents(out) == {Path("index.html"): b"new"}


def test_every_module_has_a_page_that_explains_its_names(site):
    for path in EXPORTED:
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        page = (site / "api" / f"{name}.html").read_text(encoding="utf-8")
        source = path.read_text(encoding="utf-8")
        functions = re.findall(r"^(?:def|class) ([A-Za-z]\w*)", source, re.MULTILINE)
        offered = re.findall(r"'(\w+)'", re.search(r"__all__ = \[.*?\]", source, re.DOTALL)[0])
        functions = [
            f for f in functions if f in offered
        ]  # a class of an `exporti` cell is the module's own
        assert [f for f in functions if f"<h2>{f}<" not in page] == []


def test_the_site_is_known_for_ours(site):
    docs.check_target(site)


def test_every_notebook_is_a_lesson(site):
    missing = [
        f for f in NOTEBOOKS if not (site / f.relative_to(ROOT / "nbs")).with_suffix(".html").is_file()
    ]
    assert missing == []


def test_pages_load_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    loads = {address for page in pages for address in Loads(page.read_text(encoding="utf-8")).found}
    assert len(loads) > 10
    assert [address for address in loads if re.match(r"(https?:)?//", address)] == []
    styles = [
        f
        for f in site.rglob("*.css")
        if re.search(r"(url\(['\"]?|@import\s+['\"])(https?:)?//", f.read_text())
    ]
    assert styles == []


def test_maths_is_drawn_by_a_script_of_the_site(site):
    pages = [p for p in site.rglob("*.html") if 'class="math' in p.read_text(encoding="utf-8")]
    assert pages, "no lesson has a formula"
    for page in pages:
        scripts = [
            a.partition("?")[0] for a in Loads(page.read_text(encoding="utf-8")).found if "tex-svg" in a
        ]
        assert len(scripts) == 1
        assert (page.parent / scripts[0]).resolve().is_file()
