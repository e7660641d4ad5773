"""One browser, one JupyterLab and one Voilà for all of these tests. They are skipped, loudly, where there is no browser;
T2I_REQUIRE_BROWSER=1 makes that a failure."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from driving import LAST, PATIENCE, START, until
from hosts import AGAIN, FORMS, WIDGETS
from live import FLAGS, NAMES, chromium
from nbformat.v4 import new_code_cell, new_notebook
from places import KERNEL, ROOT

HERE = Path(__file__).parent
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}


def missing(what):
    "Skip, or fail where a browser is required."
    sentence = f"{what}: the widgets are NOT tested in a browser"
    (pytest.fail if os.environ.get("T2I_REQUIRE_BROWSER") == "1" else pytest.skip)(sentence)


@pytest.fixture(scope="package")
def browser():
    "The machine's own Chromium."
    if (found := chromium()) is None:
        missing(f"none of {', '.join(NAMES)} is installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield opened
        opened.close()


class Watch:
    "What a page must not do: say an error, or ask another machine for something."

    def __init__(self):
        self.errors, self.blocked, self.messages = [], [], 0

    def console(self, message):
        if message.type == "error":
            self.errors.append(message.text)

    def route(self, route):
        address = urlsplit(route.request.url)
        if address.scheme in ("file", "data", "blob") or address.hostname == "127.0.0.1":
            route.continue_()
        else:
            self.blocked.append(route.request.url)
            route.abort()

    def socket(self, websocket):
        if not is_local(websocket.url):
            self.blocked.append(websocket.url)
        websocket.on("framesent", self.count)

    def count(self, payload):
        "Messages from a widget to the kernel."
        text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
        self.messages += "comm_msg" in text

    def clear(self):
        self.errors.clear()
        self.blocked.clear()


def is_local(url):
    return urlsplit(url).hostname == "127.0.0.1"


@pytest.fixture(scope="package")
def watch():
    return Watch()


@pytest.fixture
def quiet(watch):
    "Holds a test to no error in the console and no request off the machine."
    watch.clear()
    yield watch
    assert watch.errors == []
    assert watch.blocked == []


@pytest.fixture(scope="package")
def open_page(browser, watch):
    "A maker of pages, each watched."
    contexts = []

    def make(scheme="light", size=(1200, 1000)):
        viewport = {"width": size[0], "height": size[1]}
        context = browser.new_context(
            color_scheme=scheme, viewport=viewport, permissions=["clipboard-read", "clipboard-write"]
        )
        context.set_default_timeout(PATIENCE)
        context.route("**/*", watch.route)
        page = context.new_page()
        page.on("console", watch.console)
        page.on("pageerror", lambda error: watch.errors.append(str(error)))
        page.on("websocket", watch.socket)
        page.on(
            "websocket",
            lambda opened: (
                setattr(page, "kernel", opened)
                if opened.url.partition("?")[0].endswith("/channels")
                else None
            ),
        )
        contexts.append(context)
        return page

    yield make
    for context in contexts:
        context.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def notebook(path, cells):
    "Write a notebook without outputs."
    nbformat.write(
        new_notebook(cells=[new_code_cell(source) for source in cells], metadata=KERNEL), path
    )


class Server:
    "A server in a folder of its own, which touches no one's Jupyter configuration."

    def __init__(self, folder, *command):
        self.folder = folder
        places = ("config", "data", "runtime", "settings", "workspaces", "ipython")
        names = (
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
            "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR",
            "IPYTHONDIR",
        )
        for place in places:
            (folder / place).mkdir()
        environment = {**os.environ, **{name: str(folder / place) for name, place in zip(names, places)}}
        environment |= {
            "PYTHONPATH": str(ROOT),
            "JUPYTER_PATH": str(HERE / "jupyter"),
            "JUPYTER_CONFIG_PATH": str(ROOT / "t2i_learn" / "jupyter"),  # as `t2i-learn lab` does
            "OMP_NUM_THREADS": "1",
        }
        for name, values in SETTINGS.items():
            file = folder / "settings" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values), encoding="utf-8")
        self.log = open(folder / "log.txt", "w+", encoding="utf-8")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=environment,
            stdout=self.log,
            stderr=self.log,
        )

    @classmethod
    def lab(cls, folder, port):
        "JupyterLab on the folder's notebooks, without a token, for a test only."
        root = folder / "notebooks"
        server = cls(
            folder, "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
            "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True",
        )  # fmt: skip
        server.until(lambda log: answers(f"http://127.0.0.1:{port}/api"))
        return server

    def said(self):
        return (self.folder / "log.txt").read_text(encoding="utf-8")

    def until(self, condition):
        "Wait until a function of the log is true of it."
        limit = time.monotonic() + 120
        while not (found := condition(self.said())):
            assert self.process.poll() is None and time.monotonic() < limit, self.said()
            time.sleep(0.05)
        return found

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def answers(url):
    "Whether something answers there."
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(scope="package")
def start_lab():
    "A starter of JupyterLab on the notebooks of a folder; it gives the address under which they are opened."
    servers = []

    def start(folder):
        port = free_port()
        servers.append(Server.lab(folder, port))
        return f"http://127.0.0.1:{port}/doc/tree/"

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="package")
def lab(open_page, start_lab, tmp_path_factory):
    "A page of JupyterLab in which every widget has been run; the notebook's last cell is empty, for tests to use."
    folder = tmp_path_factory.mktemp("lab")
    (folder / "notebooks").mkdir()
    notebook(
        folder / "notebooks" / "widgets.ipynb",
        [*(w.cell for w in WIDGETS.values()), *AGAIN, *FORMS.values(), ""],
    )
    page = open_page()
    page.notebooks = folder / "notebooks"
    page.goto(f"{start_lab(folder)}widgets.ipynb?reset")
    until(
        page,
        "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
        timeout=START,
    )
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    for hosted in WIDGETS.values():
        page.wait_for_selector(
            f"section.t2i[aria-label='{hosted.label}']", state="attached", timeout=START
        )
    page.locator(LAST).wait_for(state="attached")
    return page


@pytest.fixture(scope="package")
def voila(open_page, tmp_path_factory):
    "A page of Voilà with every widget and form; it asks for a token."
    try:
        import voila as installed  # noqa: F401
    except ImportError:
        missing("voila is not installed")
    folder, port = tmp_path_factory.mktemp("voila"), free_port()
    notebook(folder / "widgets.ipynb", [*(w.cell for w in WIDGETS.values()), *FORMS.values()])
    server = Server(
        folder,
        "voila",
        "widgets.ipynb",
        "--no-browser",
        f"--port={port}",
        "--Voila.ip=127.0.0.1",
        "--Voila.auto_token=True",
        "--template=offline",
    )
    token = server.until(lambda log: re.search(r"token=(\w+)", log))[1]
    page = open_page()
    page.goto(
        f"http://127.0.0.1:{port}/?token={token}", wait_until="commit"
    )  # it loads for as long as the cells run
    for hosted in WIDGETS.values():
        page.wait_for_selector(f"section.t2i[aria-label='{hosted.label}']", timeout=START)
    page.locator(LAST).wait_for(timeout=START)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as asked:
        page.refused = "/login" in asked.geturl()  # who has no token is sent there
    yield page
    server.close()


@pytest.fixture(scope="package")
def exported(open_page, tmp_path_factory):
    "Opens a widget's exported page from the disk."
    folder = tmp_path_factory.mktemp("pages")

    def show(widget, scheme="light"):
        page = open_page(scheme)
        page.goto(widget.export_html(folder / f"{widget.name}.html").as_uri())
        page.wait_for_selector("section.t2i")
        return page

    return show
