"What holds for the repository as a whole: import cost, no pickles, notebooks and package and README in step."

import ast
import configparser
import filecmp
import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from nbs import SIZE_LIMIT
from places import EXPORTED, KERNEL, NOTEBOOKS, PACKAGE, ROOT, notebook_name

from t2i_learn.core.pipeline import models

SOURCES = sorted(f for folder in (PACKAGE, ROOT / "tools", ROOT / "data") for f in folder.rglob("*.py"))
notebook_by_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=notebook_name)


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def python(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("IN_TEST", None)  # with it nbdev_export does nothing
    options = {
        "cwd": ROOT,
        "env": environment,
        "capture_output": True,
        "text": True,
        "timeout": 300,
    } | options
    done = subprocess.run([sys.executable, *arguments], **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def loaded_by(statements, suspects):
    "Which of the modules named are loaded once the statements have run, in a new process."
    report = f"\nimport sys, json; print(json.dumps([m for m in {list(suspects)} if m in sys.modules]))"
    return json.loads(python("-c", statements + report))


def test_importing_the_package_loads_nothing_heavy():
    heavy = (
        "torch",
        "numpy",
        "datasets",
        "matplotlib",
        "ipywidgets",
        "pandas",
        "accelerate",
        "diffusers",
        "PIL",
    )
    assert loaded_by("import t2i_learn", heavy) == []


def test_modules_load_torch_and_nothing_heavier():
    "Those of the widgets are built on ipywidgets; nothing else imports them."
    statements = "\n".join(f"import {module_name(f)}" for f in EXPORTED if f.parent.name != "widgets")
    heavy = (
        "datasets",
        "matplotlib",
        "ipywidgets",
        "pandas",
        "accelerate",
        "diffusers",
        "fastcore",
        "nbdev",
        "scipy",
    )
    assert loaded_by(statements, heavy) == []


WORLD = [module_name(f) for f in EXPORTED if f.parent.name == "world"]
QUICK = {"shapes-gan": ""}  # draws in one pass; the others are asked for two steps


@pytest.mark.parametrize("name", models("text-to-image"))
def test_from_prompt_to_picture_nothing_is_known_of_the_world(name):
    "A model reads tokens and sees noise; what draws true scenes, captions them and judges pictures is not even imported."
    steps = QUICK.get(name, ", num_inference_steps=2")
    statements = f"import t2i_learn; t2i_learn.load({name!r})('a red heart', seed=1{steps})"
    assert {"t2i_learn.world.scenes", "t2i_learn.world.reader"} <= {*WORLD} and loaded_by(
        statements, WORLD
    ) == []


def test_pictures_are_changed_without_the_world():
    statements = (
        "import t2i_learn, torch; pipe = t2i_learn.load('shapes-diffusion'); "
        "call = {'num_inference_steps': 2, 'seed': 1}; red = pipe('a red heart', **call).images[0]; "
        "pipe.edit(red, 'a blue heart'); pipe.vary(red, **call); "
        "pipe.inpaint(red, torch.ones(32, 32), 'a blue heart', **call)"
    )
    assert loaded_by(statements, WORLD) == []


def test_what_checks_a_call_loads_no_torch():
    modules = (
        "t2i_learn.cli",
        "t2i_learn.core.files",
        "t2i_learn.core.settings",
        "t2i_learn.diffusion.settings",
        "t2i_learn.stable.settings",
    )
    statements = "\n".join(f"import {module}" for module in modules)
    assert loaded_by(statements, ("torch", "matplotlib")) == []


def test_unknown_names_of_the_package_are_attribute_errors():
    import t2i_learn

    assert {"load", "models", "__version__"} <= set(dir(t2i_learn))
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        t2i_learn.lode  # noqa: B018


def body_lines(function):
    "How many lines a function's body has, without signature and docstring."
    body = function.body[ast.get_docstring(function) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def undocumented(nodes):
    "Names of public functions, classes and methods that have no docstring of one line."
    for node in nodes:
        if isinstance(
            node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        ) and not node.name.startswith("_"):
            if "\n" in (ast.get_docstring(node) or "\n"):
                yield node.name
            if isinstance(node, ast.ClassDef):
                yield from undocumented(node.body)


def imports_of(module, tree):
    "Modules of ours that a module imports, also inside functions; what only a type checker reads is not counted."
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("t2i_learn"))
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            found = ".".join([*above, *([node.module] if node.module else [])])
            yield from [found] if found.startswith("t2i_learn") else []


def exports(tree):
    "The names in a module's `__all__`."
    lists = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    return [name for found in lists for name in ast.literal_eval(found)]


def names_taken(tree, module):
    "(module, name) of everything that a source imports from a module of ours by name."
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            found = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((found, name.name) for name in node.names if found.startswith("t2i_learn."))


TREES = {module_name(f): ast.parse(f.read_text(encoding="utf-8")) for f in EXPORTED}
PUBLIC = {module: exports(tree) for module, tree in TREES.items()}


def code_of(notebook):
    "The code cells of a notebook in one source, without lines for the shell."
    cells = [
        c for c in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"
    ]
    lines = "\n".join("".join(c["source"]) for c in cells).split("\n")
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def test_functions_are_short():
    trees = [ast.parse(f.read_text(encoding="utf-8")) for f in EXPORTED]
    functions = (
        node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )
    lengths = sorted((body_lines(function), function.name) for function in functions)
    assert lengths[-1][0] <= 40, lengths[-1]
    assert statistics.median(length for length, _ in lengths) <= 5


@pytest.mark.parametrize("path", EXPORTED, ids=module_name)
def test_public_names_have_a_docstring_of_one_line(path):
    assert list(undocumented(ast.parse(path.read_text(encoding="utf-8")).body)) == []


# The one import that points forwards: a saved model brings its tokenizer, and the pipeline reads it.
FORWARD = {("t2i_learn.core.pipeline", "t2i_learn.text.tokenizer")}


def test_imports_point_backwards_in_import_order():
    "Also inside functions. Families are named in a table, and imported by that name when they are asked for."
    order = [module for module in map(default_export, NOTEBOOKS) if module]
    forward = {
        (module, other)
        for module, tree in TREES.items()
        for other in imports_of(module, tree)
        if other not in order or order.index(other) >= order.index(module)
    }
    assert forward == FORWARD


def test_no_module_leads_back_to_itself():
    following = {
        module: {other for other in imports_of(module, tree) if (module, other) not in FORWARD}
        for module, tree in TREES.items()
    }
    for module in following:
        reached, border = set(), following[module]
        while border:
            reached |= border
            border = {other for one in border for other in following.get(one, ())} - reached
        assert module not in reached, f"{module} imports itself by way of others"


def test_a_public_name_means_one_thing():
    owners = {}
    for module, names in PUBLIC.items():
        for name in names:
            owners.setdefault(name.lower(), []).append(f"{module}.{name}")
    assert {name: places for name, places in owners.items() if len(places) > 1} == {}
    assert max(map(len, PUBLIC.values())) <= 30


PARTICIPLES = {  # irregular, of one word
    "known",
    "told",
    "drawn",
    "kept",
    "said",
    "taken",
    "given",
    "shown",
    "made",
    "seen",
    "found",
    "begun",
    "written",
    "read",
    "held",
    "left",
    "met",
    "paid",
    "sent",
    "spent",
    "built",
    "bought",
    "brought",
    "caught",
    "chosen",
    "done",
    "fallen",
    "felt",
    "fed",
    "fought",
    "forgotten",
    "frozen",
    "got",
    "gone",
    "grown",
    "heard",
    "hidden",
    "laid",
    "led",
    "lent",
    "lost",
    "meant",
    "ridden",
    "risen",
    "run",
    "shaken",
    "sold",
    "spoken",
    "stolen",
    "struck",
    "sworn",
    "swept",
    "taught",
    "thought",
    "thrown",
    "torn",
    "understood",
    "woken",
    "worn",
    "won",
    "broken",
    "split",
}


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_public_names_are_verbs_or_nouns(module):
    words = {
        name: [part for part in re.split(r"_|(?<=[a-z])(?=[A-Z])", name.lower()) if part]
        for name in PUBLIC[module]
    }
    assert [name for name, parts in words.items() if "told" in parts or "told" in name.lower()] == []
    single = [name for name, parts in words.items() if len(parts) == 1]
    assert [name for name in single if name.lower().endswith("ed") or name.lower() in PARTICIPLES] == []


def sources_that_import():
    "Label, module name and source of everything of ours that can import from the package."
    for f in EXPORTED:
        yield module_name(f), module_name(f), f.read_text(encoding="utf-8")
    for notebook in NOTEBOOKS:
        yield notebook_name(notebook), "", code_of(notebook)
    for folder in ("tests", "tools", "benchmarks", "data"):
        for f in sorted((ROOT / folder).rglob("*.py")):
            yield f.relative_to(ROOT).as_posix(), "", f.read_text(encoding="utf-8")


def test_nobody_imports_what_is_not_public():
    modules = {
        *PUBLIC,
        *(f"t2i_learn.{d.name}" for d in PACKAGE.iterdir() if d.is_dir()),
        "t2i_learn.cli",
    }
    wrong = [
        f"{label}: {found}.{name}"
        for label, module, source in sources_that_import()
        for found, name in names_taken(ast.parse(source), module)
        if (found in PUBLIC and name not in PUBLIC[found]) or found not in modules
    ]
    assert wrong == []


def words_in(source):
    "Names and strings of a source, but for docstrings and comments."
    tree = ast.parse(source)
    texts = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    }
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name"):
            if isinstance(getattr(node, field, None), str):
                yield getattr(node, field)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
            yield node.value


def test_the_core_knows_no_family():
    "But for the table of families."
    strange = re.compile(r"(?<![a-z])(alpha|refine_from|gan|stable)(?![a-z])", re.IGNORECASE)
    files = [f for f in EXPORTED if f.parent.name == "core"] + [PACKAGE / "cli.py"]
    found = [
        (f.name, word)
        for f in files
        for word in words_in(f.read_text(encoding="utf-8"))
        if strange.search(word)
    ]
    table = (
        "gan",
        "text-to-image GAN",
        "t2i_learn.gan.text_to_image:TextToImageGAN",
        "t2i_learn.gan.latent_code:LatentCodeGAN",
        "text-to-image stable",
        "t2i_learn.stable.two_stage:TextToImageTwoStage",
        "t2i_learn.stable.settings:TwoStageSettings",
    )
    assert [pair for pair in found if pair not in {("settings.py", word) for word in table}] == []


def test_the_readers_of_words_find_what_they_look_for():
    source = "'gan'\ndef f(alpha):\n    'stable'\n    return x.refine_from, 'a gan'"
    assert set(words_in(source)) == {"f", "alpha", "x", "refine_from", "a gan"}
    assert list(
        names_taken(ast.parse("from .b import c\nfrom t2i_learn.a import d"), "t2i_learn.m.n")
    ) == [("t2i_learn.m.b", "c"), ("t2i_learn.a", "d")]
    assert exports(ast.parse("__all__ = ['a', 'b']")) == ["a", "b"]


def test_the_readers_of_syntax_find_what_they_look_for():
    lines = [
        "from ..later import a",
        "import t2i_learn.b",
        "import os",
        "def f(x):",
        "    'One line.'",
        "    if x:",
        "        return 1",
        "def k():",
        "    import t2i_learn.c",
        "    return 3",
        "if TYPE_CHECKING:",
        "    import t2i_learn.d",
        "class C:",
        "    def g(self): return 2",
        "    def _h(self): return 3",
    ]
    tree = ast.parse("\n".join(lines))
    assert list(imports_of("t2i_learn.now.module", tree)) == [
        "t2i_learn.later",
        "t2i_learn.b",
        "t2i_learn.c",
    ]
    assert list(undocumented(tree.body)) == ["k", "C", "g"]
    assert [body_lines(node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)] == [
        2,
        2,
        1,
        1,
    ]


UNPICKLERS = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}


def unpickling(tree):
    "Imports and calls in a syntax tree that can run code hidden in a file."
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] in UNPICKLERS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNPICKLERS:
            yield node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "torch.save"):
            yield ast.unparse(node.func)
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            yield ast.unparse(node)


@pytest.mark.parametrize("path", SOURCES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_nothing_is_unpickled(path):
    assert list(unpickling(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_the_search_for_unpickling_finds_it():
    guilty = "import pickle\nfrom dill import loads\ntorch.load('x')\nnumpy.load('x', allow_pickle=True)"
    assert list(unpickling(ast.parse(guilty))) == ["pickle", "dill", "torch.load", "allow_pickle=True"]


@notebook_by_notebook
def test_notebook_is_small_and_clean(notebook):
    text = notebook.read_text(encoding="utf-8")
    content = json.loads(text)
    assert notebook.stat().st_size <= SIZE_LIMIT
    assert content["metadata"] == KERNEL
    assert "vnd.jupyter.widget" not in text, "widget state or a view that no one can see: keep a picture"
    assert "model not found" not in text.lower()
    assert not [
        c for c in content["cells"] if any(o["output_type"] == "error" for o in c.get("outputs", []))
    ]


def default_export(notebook):
    "Module that a notebook says it exports to, or None."
    sources = ("".join(c["source"]) for c in json.loads(notebook.read_text(encoding="utf-8"))["cells"])
    found = re.search(r"^#\|\s*default_exp\s+(\S+)", "\n".join(sources), re.MULTILINE)
    return f"t2i_learn.{found[1]}" if found else None


def test_every_module_comes_from_a_notebook_of_its_name():
    pairs = {default_export(f): f for f in NOTEBOOKS if default_export(f)}
    assert sorted(pairs) == sorted(map(module_name, EXPORTED))
    for module, notebook in pairs.items():
        names = [
            re.sub(r"^\d+_", "", part)
            for part in notebook.relative_to(ROOT / "nbs").with_suffix("").parts
        ]
        assert module == ".".join(["t2i_learn", *names])


def differing(left, right):
    "Paths that differ between two folders, Python's caches apart."
    found = filecmp.dircmp(left, right, ignore=["__pycache__"])
    shallow = [*found.left_only, *found.right_only, *found.diff_files, *found.funny_files]
    return shallow + [
        f"{name}/{d}"
        for name in found.common_dirs
        for d in differing(Path(left, name), Path(right, name))
    ]


def test_export_and_clean_change_nothing(tmp_path):
    skip = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", ".*")
    for name in ("nbs", "t2i_learn"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=skip)
    for name in ("settings.ini", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python("-c", "from nbdev.doclinks import nbdev_export; nbdev_export()", cwd=tmp_path)
    python("-c", "from nbdev.clean import nbdev_clean; nbdev_clean()", cwd=tmp_path)
    changed = differing(ROOT / "nbs", tmp_path / "nbs") + differing(PACKAGE, tmp_path / "t2i_learn")
    assert [name for name in changed if ".ipynb_checkpoints" not in name] == []


def test_readme_is_the_index_notebook():
    python("tools/readme.py", "--check")


def test_settings_agree():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "settings.ini")
    ours = settings["DEFAULT"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["name"] == ours["lib_name"] == "t2i_learn"
    assert project["project"]["requires-python"] == f">={ours['min_python']}"
    assert project["tool"]["nbdev"] == {key: ours[key] for key in ("nbs_path", "lib_path")}
    assert f'__version__ = "{ours["version"]}"' in (PACKAGE / "__init__.py").read_text(encoding="utf-8")


def test_constraints_satisfy_what_the_project_asks_for():
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in map(Requirement, itertools.chain(*groups)):
        if requirement.name != "t2i_learn":
            assert requirement.specifier.contains(pins[requirement.name.lower().replace("_", "-")]), (
                requirement
            )
