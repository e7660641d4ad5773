"The docs site is built from the notebooks alone, has a page for every module, and asks no other machine for anything."

import html
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import badges
import course
import docs
import nbs
import pytest
import student
from live import FLAGS, chromium
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from places import EXPORTED, KERNEL, NOTEBOOKS, PACKAGE, ROOT


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


@pytest.fixture(scope="module")
def loads(site):
    "What each page makes a browser fetch."
    return {page: Loads(page.read_text(encoding="utf-8")).found for page in site.rglob("*.html")}


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


def test_pages_load_nothing_from_elsewhere(site, loads):
    found = {address for page in loads.values() for address in page}
    assert len(found) > 10
    assert [address for address in found if re.match(r"(https?:)?//", address)] == []
    styles = [
        f
        for f in site.rglob("*.css")
        if re.search(r"(url\(['\"]?|@import\s+['\"])(https?:)?//", f.read_text())
    ]
    assert styles == []


def test_maths_is_drawn_by_a_script_of_the_site(site, loads):
    pages = [p for p in site.rglob("*.html") if 'class="math' in p.read_text(encoding="utf-8")]
    assert pages, "no lesson has a formula"
    for page in pages:
        scripts = [a.partition("?")[0] for a in loads[page] if "tex-svg" in a]
        assert len(scripts) == 1
        assert (page.parent / scripts[0]).resolve().is_file()


def lesson_page(site, notebook):
    "The page of a notebook."
    return (site / notebook.relative_to(ROOT / "nbs")).with_suffix(".html").read_text(encoding="utf-8")


def without_code(page):
    "A page without its blocks of code and output."
    return re.sub(r"<pre.*?</pre>|<script.*?</script>", "", page, flags=re.DOTALL)


def test_no_page_shows_a_raw_table(site):
    pages = {
        p.relative_to(site).as_posix(): without_code(p.read_text("utf-8")) for p in site.rglob("*.html")
    }
    assert "<td>combinations that training showed</td>" in re.sub(r"</?p>", "", pages["index.html"])
    assert [
        name for name, page in pages.items() if re.search(r"^(<p>)?\|.*\|", page, re.MULTILINE)
    ] == []


def test_hidden_cells_are_hidden_and_solutions_are_folded(site):
    for notebook in NOTEBOOKS:
        page = re.sub(r"<[^>]+>", "", html.unescape(lesson_page(site, notebook)))
        folded = lesson_page(site, notebook).count("Show the solution")
        cells = nbs.code_cells(nbs.read(notebook))
        assert folded == sum("solution" in student.tags(cell) for cell in cells), notebook
        hidden = [cell.source for cell in cells if docs.is_hidden(cell) or docs.hides_code(cell)]
        lines = {max(source.splitlines(), key=len) for source in hidden}
        shown = "\n".join(cell.source for cell in cells if cell.source not in hidden)
        assert [line for line in lines if line in page and line not in shown] == [], notebook
        assert not re.search(r"^#\|", page, re.MULTILINE), notebook


def test_every_link_of_the_site_leads_somewhere(site):
    "To a file, and to a place in it."
    pages = {p: p.read_text(encoding="utf-8") for p in site.rglob("*.html") if p.parent.name != "live"}
    places = {p: set(re.findall(r'\bid="([^"]+)"', page)) for p, page in pages.items()}
    broken = set()
    for page, text in pages.items():
        for link in re.findall(r'<a [^>]*?href="([^"]+)"', text):
            path, _, anchor = unquote(html.unescape(link)).partition("#")
            if re.match(r"[a-z]+:", path):
                continue
            target = (page.parent / path).resolve() if path else page
            if not target.is_file() or (anchor and anchor not in places.get(target, {anchor})):
                broken.add((page.relative_to(site).as_posix(), link))
    assert broken == set()


def test_the_start_page_opens_with_pictures_that_have_words(site):
    page = lesson_page(site, ROOT / "nbs" / "index.ipynb")
    article = page[page.index("<article") :]
    picture = re.search(r'<img alt="(Eight pictures[^"]+)"[^>]* src="([^"]+)"', article)
    assert picture and picture.start() < article.index("<h2")
    shown = (site / picture[2]).read_bytes()
    assert shown == (ROOT / "nbs" / "images" / "prompts-0.png").read_bytes()


def test_every_picture_has_words(site):
    pictures = [
        picture
        for page in site.rglob("*.html")
        for picture in re.findall(r"<img [^>]*>", page.read_text("utf-8"))
    ]
    assert len(pictures) > 300
    given = re.compile(r'\balt="(?![^"]*\.(png|svg)")[^"]')
    assert [picture[:200] for picture in pictures if not given.search(picture)] == []


def test_chapters_and_pages_are_called_as_in_the_readme(site):
    "In the same order."
    page = lesson_page(site, ROOT / "nbs" / "index.ipynb")
    tree = page[page.index('class="sidebar-tree"') :]
    tree = tree[: tree.index("</div>")]
    shown = re.findall(
        r'<span class="caption-text">(.*?)</span>|internal"[^>]*href="([^"]+)">(.*?)</a>', tree
    )
    names = [html.unescape(caption or title) for caption, _, title in shown]
    rows = re.findall(
        r"^\| (?:\*\*(.+?)\*\*|\[(.+?)\]\()", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    wanted = [chapter or title for chapter, title in rows]
    wanted = wanted[wanted.index("Start here") : wanted.index("Glossary") + 1]
    assert len(wanted) > 60 and names[: len(wanted)] == wanted


def test_every_lesson_has_a_download_without_solutions_and_leads_to_the_glossary(site):
    for notebook in NOTEBOOKS:
        page = lesson_page(site, notebook)
        link = re.search(r'<a class="reference download internal"[^>]*href="([^"]+)"', page)
        copy = nbs.read(((site / notebook.relative_to(ROOT / "nbs")).parent / link[1]).resolve())
        assert copy == student.without_solutions(nbs.read(notebook))
        assert ("Look up a term in the glossary" in page) == (notebook.name != "glossary.ipynb")


ADDRESS = "https://github.com/someone/pictures"
LABELS = [service.label for service in badges.SERVICES]


@pytest.fixture
def settings(tmp_path):
    "Settings with an address."

    def write(address):
        text = re.sub(r"(?m)^git_url =.*", f"git_url = {address}", (ROOT / "settings.ini").read_text())
        (tmp_path / "settings.ini").write_text(text)
        return tmp_path / "settings.ini"

    return write


def test_without_an_address_there_are_no_badges(site, settings):
    assert badges.project(settings("")) is None
    if badges.project() is None:  # the project's own
        pages = "".join(lesson_page(site, notebook) for notebook in NOTEBOOKS)
        assert [label for label in LABELS if label in pages] == []
    page = new_notebook(cells=[new_markdown_cell("# Page\n\n> Line\n\nText.")])
    name = "01_world/01_scenes.ipynb"
    texts = docs.links_above(page, name, None), docs.links_below(name, None)
    assert [label for label in LABELS if label in "".join(texts)] == []
    assert docs.links_below(docs.GLOSSARY, None) == ""


def test_with_an_address_a_lesson_has_badges_and_an_edit_link(settings, monkeypatch, tmp_path):
    "Made by the code that makes the site, and drawn by Sphinx."
    monkeypatch.setattr(badges, "SETTINGS", settings(f"{ADDRESS}.git"))
    page = new_notebook(cells=[new_markdown_cell("# Page\n\n> Line\n\nText.")], metadata=KERNEL)
    (tmp_path / "nbs" / "01_world").mkdir(parents=True)
    (tmp_path / "source").mkdir()
    nbs.write(page, tmp_path / "nbs" / "01_world" / "01_page.ipynb")
    (tmp_path / "nbs" / "images" / "diagrams").mkdir(parents=True)
    for module in (docs, course):
        monkeypatch.setattr(module, "NBS", tmp_path / "nbs")
    monkeypatch.setattr(docs, "notebooks", lambda: nbs.notebooks([tmp_path / "nbs"]))
    monkeypatch.setattr(docs, "contents", lambda names: "")
    docs.write_lessons(tmp_path / "source", {}, [])
    text = "\n\n".join(
        c.source for c in nbs.read(tmp_path / "source" / "01_world" / "01_page.ipynb").cells
    )
    name = "01_world/01_page.ipynb"
    assert f"(https://colab.research.google.com/github/someone/pictures/blob/colab/{name})" in text
    assert f"(https://mybinder.org/v2/gh/someone/pictures/main?urlpath=lab/tree/nbs/{name})" in text
    assert f"[Edit this page]({ADDRESS}/edit/main/nbs/{name})" in text
    assert (
        text.index("> Line")
        < text.index("Open in Colab")
        < text.index("Text.")
        < text.index("Edit this")
    )


def test_a_copy_for_colab_installs_the_course_and_leads_to_the_project(settings, monkeypatch, tmp_path):
    monkeypatch.setattr(badges, "SETTINGS", settings(ADDRESS))
    place = badges.project()
    cells = [
        new_markdown_cell(
            "# Page\n\n[Next](02_tasks.ipynb#a) ![Drawn](../images/a.svg) [Out](https://a.b)"
        ),
        new_code_cell("1 + 1"),
    ]
    copy = badges.with_install_cell(new_notebook(cells=cells), "01_world/01_scenes.ipynb", place)
    assert [cell.source for cell in copy.cells[1:]] == [
        f'%pip install -q "t2i_learn[lab] @ git+{ADDRESS}@main"',
        "1 + 1",
    ]
    assert copy.cells[0].source.splitlines()[-1] == (
        f"[Next]({ADDRESS}/blob/main/nbs/01_world/02_tasks.ipynb#a) "
        f"![Drawn]({ADDRESS}/raw/main/nbs/images/a.svg) [Out](https://a.b)"
    )
    badges.main(tmp_path / "out")
    written = sorted((tmp_path / "out").rglob("*.ipynb"))
    assert len(written) == len(NOTEBOOKS)
    monkeypatch.setattr(badges, "SETTINGS", settings(""))
    with pytest.raises(SystemExit, match="no address yet"):
        badges.main(tmp_path / "out")


@pytest.mark.parametrize("address", ["http://github.com/a/b", "https://a.b/c/d", "github.com/a/b"])
def test_an_address_that_no_service_knows_is_one_sentence(settings, address):
    with pytest.raises(SystemExit, match="give it as https://github"):
        badges.project(settings(address))


def picture(**facts):
    "An output with a picture, and what it says of it."
    metadata = {"image/png": facts} if facts else {}
    return new_output("display_data", data={"image/png": "aGVhcnQ="}, metadata=metadata)


def test_a_picture_has_its_own_words_and_width():
    "Also where a cell shows several; the height follows from the width."
    two = [picture(alt="A heart", width=300, height=100), picture(alt="A star", width=200, height=50)]
    cells = [
        new_markdown_cell("Three hearts in a row."),
        new_code_cell("draw()", outputs=two),
        new_code_cell("#| fig-alt: Hearts\ndraw()", outputs=[picture(alt="A heart")]),
        new_code_cell("draw()", outputs=[picture()]),
    ]
    shown = nbs.code_cells(docs.lesson(new_notebook(cells=cells), {}))
    assert [cell.metadata["mystnb"]["image"] for cell in shown] == [
        {"alt": "A heart", "width": "300"},
        {"alt": "A star", "width": "200"},
        {"alt": "Hearts"},
        {"alt": "Three hearts in a row."},
    ]
    assert [cell.source for cell in shown] == ["draw()", "", "draw()", "draw()"]
    assert shown[1].metadata["tags"] == ["remove-input"] and "tags" not in shown[0].metadata
    assert all(output.metadata == {} for cell in shown for output in cell.outputs)


@pytest.fixture(scope="module")
def browser():
    "The machine's own Chromium; without it these tests are skipped, or fail where a browser is required."
    found = chromium()
    if found is None:
        skip = pytest.fail if os.environ.get("T2I_REQUIRE_BROWSER") == "1" else pytest.skip
        skip("there is no Chromium: the docs are NOT looked at in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        opened.close()


def test_search_shows_excerpts_from_the_disk(site, browser):
    page = browser.new_page()
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{(site / 'search.html').as_uri()}?q=classifier-free+guidance")
    page.wait_for_function(
        "() => document.querySelector('.search-summary')?.textContent.includes('found')"
    )
    results = page.locator("ul.search > li")
    assert results.count() >= 5
    texts = [result.text_content() for result in results.all()]
    assert results.locator("p.excerpt").count() == results.count(), texts
    first = results.first
    assert first.locator("a").get_attribute("href").startswith("04_diffusion/13_guidance.html")
    assert "classifier-free guidance" in first.locator("p.excerpt").text_content().lower()
    marked = [text.lower() for text in first.locator("strong").all_text_contents()]
    assert "classifier-free" in marked
    assert errors == []


def test_code_can_be_copied(site, browser):
    page = browser.new_page()
    page.goto((site / "01_world" / "01_scenes.html").as_uri())
    page.wait_for_selector("button.copybtn", state="attached")
    assert page.locator(".cell_input button.copybtn").count() == page.locator(".cell_input pre").count()
    assert page.locator(".output button.copybtn").count() == 0


WIDTH = """() => Math.max(...[document.scrollingElement, ...document.querySelectorAll(".page, .main, .content")]
  .map((part) => part.scrollWidth))"""
WIDER = "() => document.querySelector('article').insertAdjacentHTML('beforeend', '<div style=width:700px>wide</div>')"


def test_nothing_is_wider_than_a_narrow_screen(site, browser):
    "All lessons, and the three longest pages of the reference; without scripts, which only formulas would need."
    reference = sorted((site / "api").glob("*.html"), key=lambda p: p.stat().st_size)[-3:]
    lessons = [(site / f.relative_to(ROOT / "nbs")).with_suffix(".html") for f in NOTEBOOKS]
    context = browser.new_context(viewport={"width": 400, "height": 800}, java_script_enabled=False)
    page = context.new_page()
    wide = {}
    for path in (*lessons, *reference, site / "live.html", site / "search.html"):
        page.goto(path.as_uri())
        wide[path.relative_to(site).as_posix()] = page.evaluate(WIDTH)
    assert {name: width for name, width in wide.items() if width > 400} == {}
    page.goto(lessons[0].as_uri())
    page.evaluate(WIDER)
    assert page.evaluate(WIDTH) > 700, "what is too wide is found"
