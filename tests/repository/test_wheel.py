"What is installed from a wheel works without the clone: weights and data are inside, and a picture comes out."

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from places import PACKAGE, ROOT, offline

from t2i_learn import models
from t2i_learn.world.captions import load_prompts

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "t2i_learn", "data")
PATTERNS = (
    "weights/**/*.safetensors",
    "weights/**/*.json",
    "weights/**/*.md",
    "widgets/*.js",
    "widgets/*.css",
)
SHIPPED = {pattern: [*PACKAGE.glob(pattern)] for pattern in PATTERNS}
SHIPPED |= {pattern: [*(ROOT / "data").rglob(pattern)] for pattern in ("*.parquet", "*.txt")}


def pip(*arguments, **options):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    "A wheel built from a copy: building in place leaves folders behind, and reads those that are there."
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    pip(
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder / "dist"),
        str(folder),
    )
    return next((folder / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    "A folder with the wheel installed; torch and the like come from this environment."
    target = tmp_path_factory.mktemp("site")
    pip("install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    return target


def python(installed, cwd, *arguments):
    "Run Python with the installed package first on the path, far from the clone and from any network."
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=offline(installed),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_wheel_holds_what_ships_and_nothing_else(wheel):
    assert [pattern for pattern, found in SHIPPED.items() if not found] == []
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    ours = {
        (
            f"t2i_learn/{path.relative_to(ROOT).as_posix()}"
            if "data" in path.parts
            else path.relative_to(ROOT).as_posix()
        )
        for found in SHIPPED.values()
        for path in found
    }
    assert ours <= names
    assert {n.split("/")[0] for n in names} == {"t2i_learn"}
    assert not [n for n in names if n.endswith((".ipynb", ".pyc"))]


def test_package_and_data_are_the_installed_ones(installed, tmp_path):
    asked = "from importlib.resources import files; import t2i_learn; print(t2i_learn.__file__, files(t2i_learn) / 'data')"
    module, data = map(Path, python(installed, tmp_path, "-c", asked).split())
    assert module.is_relative_to(installed)
    assert data.is_relative_to(installed) and data.is_dir()


def test_data_path_finds_the_installed_data(installed, tmp_path):
    asked = "from t2i_learn.core.files import data_path; print(data_path('emoji_labels.txt'))"
    found = Path(python(installed, tmp_path, "-c", asked))
    assert found.is_relative_to(installed)
    assert found.read_bytes() == (ROOT / "data" / "emoji_labels.txt").read_bytes()


def test_installed_models_and_prompts_are_those_of_the_clone(installed, tmp_path):
    asked = (
        "import json; from t2i_learn import models; from t2i_learn.world.captions import load_prompts; "
        "print(json.dumps([models(), [p.caption for p in load_prompts('a', 1)]]))"
    )
    found, captions = json.loads(python(installed, tmp_path, "-c", asked))
    assert found == json.loads(json.dumps(models())) and all(
        facts["scores"]["seen"]["mean"] > 0
        for facts in found.values()
        if facts["kind"] == "text-to-image"
    )
    assert captions == [p.caption for p in load_prompts("a", 1)] != []


def test_installed_widgets_bring_their_scripts(installed, tmp_path):
    asked = "from t2i_learn.widgets.plane import plane_widget; print(plane_widget().export_html('plane.html').stat().st_size)"
    assert int(python(installed, tmp_path, "-c", asked)) > 30_000


def test_installed_package_draws(installed, tmp_path):
    from PIL import Image

    command = [
        "-m",
        "t2i_learn.cli",
        "generate",
        "a red heart",
        "--seed",
        "1",
        "--out",
        str(tmp_path / "heart.png"),
    ]
    python(installed, tmp_path, *command)
    with Image.open(tmp_path / "heart.png") as picture:
        red, _, blue = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 10
    assert (red, blue) != (0, 0)
