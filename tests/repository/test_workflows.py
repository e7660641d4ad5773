"""Files that other machines read: workflows, dependabot.yml, CITATION.cff, .pre-commit-config.yaml.

None of the workflows has ever run, so what can be checked without running them is checked here.
"""

import configparser
import os
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml
from places import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

EVENTS = {
    "push",
    "pull_request",
    "schedule",
    "workflow_dispatch",
}  # pull_request_target would hand our rights to strangers
WORKFLOW_KEYS = {"name", "on", "permissions", "concurrency", "env", "jobs"}
JOB_KEYS = {
    "runs-on", "timeout-minutes", "steps", "if", "needs", "strategy", "permissions", "environment", "continue-on-error",
}  # fmt: skip
STEP_KEYS = {"name", "id", "uses", "with", "run", "env", "shell"}
MAY_WRITE = {"pages", "id-token"}  # to publish, in a job that does nothing else
LONGEST = 60  # minutes of a job


def ci_steps():
    "The steps that .ci/run knows."
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    return {name.replace("_", "-") for name in re.findall(r"^(\w+)\(\) \{", text, re.MULTILINE)} - {
        "say",
        "as-root",
        "has",
    }


def make_targets():
    "The targets of the Makefile that have a name."
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def command_faults(command):
    "What a step's commands name and is not there."
    for line in command.splitlines():
        if found := re.search(r"\.ci/run((?: [\w-]+)*)", line):
            yield from (
                f"there is no step {name}" for name in found[1].split() if name not in ci_steps()
            )
        if found := re.match(r"make ([\w-]+)", line.strip()):
            yield from [f"there is no make target {found[1]}"] * (found[1] not in make_targets())
        for path in re.findall(r"\b(?:tools|tests|benchmarks)/[\w./-]+", line):
            yield from [f"there is no {path}"] * (not (ROOT / path).exists())
    yield from (
        f"{name} could be anybody's text"
        for name in re.findall(r"\$\{\{\s*(github\.event\S*|github\.head_ref)", command)
    )


def step_faults(step):
    "What is wrong with a step."
    yield from (f"step key {key}" for key in step.keys() - STEP_KEYS)
    if ("uses" in step) == ("run" in step):
        yield "a step uses an action or runs a command"
    if "uses" in step and not re.fullmatch(r"[\w.-]+(/[\w.-]+)+@[0-9a-f]{40}", step["uses"]):
        yield f"{step['uses']} is not pinned by a hash"
    yield from command_faults(step.get("run", ""))


def job_faults(name, job, jobs):
    "What is wrong with a job."
    yield from (f"job key {key}" for key in job.keys() - JOB_KEYS)
    if "runs-on" not in job or not job.get("steps"):
        yield f"{name} runs nowhere, or does nothing"
    minutes = job.get("timeout-minutes")
    if type(minutes) is not int or not 0 < minutes <= LONGEST:
        yield f"{name} has no end"
    rights = job.get("permissions", {})
    if (
        not isinstance(rights, dict)
        or rights.keys() - MAY_WRITE
        or (rights and "environment" not in job)
    ):
        yield f"{name} may do too much"
    if rights and any(
        "checkout" in step.get("uses", "") or "run" in step for step in job.get("steps", [])
    ):
        yield f"{name} runs our code with rights to write"
    needs = job.get("needs", [])
    yield from (
        f"{name} needs {other}"
        for other in ([needs] if isinstance(needs, str) else needs)
        if other not in jobs
    )
    for step in job.get("steps", []):
        yield from step_faults(step)


def workflow_faults(text):
    "What is wrong with a workflow, each in a few words."
    flow = {
        ("on" if key is True else key): value for key, value in yaml.safe_load(text).items()
    }  # YAML 1.1 takes on for true
    yield from (f"workflow key {key}" for key in flow.keys() - WORKFLOW_KEYS)
    yield from (
        f"no {key}" for key in ("name", "on", "permissions", "concurrency", "jobs") if key not in flow
    )
    yield from (f"event {event}" for event in flow.get("on", {}) if event not in EVENTS)
    if flow.get("permissions") != {"contents": "read"}:
        yield "more than reading is allowed"
    together = flow.get("concurrency")
    if (
        not isinstance(together, dict)
        or not together.get("group")
        or type(together.get("cancel-in-progress")) is not bool
    ):
        yield "concurrency does not say who waits"
    if "secrets." in text:
        yield "there are no secrets to use"
    for action, beside in re.findall(r"uses: (\S+)(.*)$", text, re.MULTILINE):
        if not re.fullmatch(r" # v\d+(\.\d+)*", beside):
            yield f"{action} has no tag beside it"
    for name, job in flow.get("jobs", {}).items():
        yield from job_faults(name, job, flow["jobs"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_what_it_should_be(path):
    assert list(workflow_faults(path.read_text(encoding="utf-8"))) == []


def test_an_action_has_one_version_everywhere():
    texts = "\n".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    versions = {}
    for action, version in re.findall(r"uses: ([\w./-]+)@(\w+ # \S+)", texts):
        versions.setdefault(action, set()).add(version)
    assert versions and {action: found for action, found in versions.items() if len(found) > 1} == {}


def test_the_versions_of_python_are_those_that_the_project_names():
    named = {
        line.rsplit(" ", 1)[1]
        for line in PROJECT["classifiers"]
        if re.search(r"Python :: 3\.\d+$", line)
    }
    flows = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in WORKFLOWS]
    matrices = [
        job.get("strategy", {}).get("matrix", {}).get("python")
        for flow in flows
        for job in flow["jobs"].values()
    ]
    assert [*filter(None, matrices)] == [sorted(named)]
    used = re.findall(
        r'python-version: "([\d.]+)"', "\n".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    )
    assert used and {*used} <= named


CI = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
DOCS = (ROOT / ".github" / "workflows" / "docs.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("text", "old", "new", "fault"), [
    (CI, "contents: read", "contents: write", "more than reading is allowed"),
    (CI, "permissions:\n  contents: read\n", "", "no permissions"),
    (CI, "cancel-in-progress: true", "cancel-in-progress: soon", "concurrency does not say who waits"),
    (CI, "  pull_request:\n", "  pull_request_target:\n", "event pull_request_target"),
    (CI, "    timeout-minutes: 20\n", "", "lint has no end"), (CI, "timeout-minutes: 20", "timeout-minutes: 600", "lint has no end"),
    (CI, "@11bd71901bbe5b1630ceea73d27597364c9af683", "@v4", "actions/checkout@v4 is not pinned by a hash"),
    (CI, " # v4.2.2", "", "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 has no tag beside it"),
    (CI, "set-up lint", "set-up lnit", "there is no step lnit"), (CI, "run: .ci/run set-up lint", "run: tools/lint.py", "there is no tools/lint.py"),
    (CI, "run: .ci/run set-up lint", "runs: x", "step key runs"), (CI, "    runs-on: ubuntu-latest\n", "", "lint runs nowhere, or does nothing"),
    (CI, "run: .ci/run set-up lint", "run: echo ${{ github.event.issue.title }}", "github.event.issue.title could be anybody's text"),
    (CI, "vars.PIP_ARGS", "secrets.TOKEN", "there are no secrets to use"),
    (DOCS, "make docs", "make dcos", "there is no make target dcos"), (DOCS, "needs: build", "needs: bulid", "deploy needs bulid"),
    (DOCS, "pages: write", "contents: write", "deploy may do too much"),
    (DOCS, "    steps:\n      - id: deployment", "    steps:\n      - run: make docs\n      - id: deployment", "deploy runs our code with rights to write"),
])  # fmt: skip
def test_a_planted_fault_is_found(text, old, new, fault):
    assert old in text and fault in list(workflow_faults(text.replace(old, new, 1)))


def test_every_step_and_target_of_ci_is_found():
    assert {"set-up", "tools", "lint", "unit", "browser", "notebooks", "fresh"} == ci_steps()
    assert {
        "lab",
        "test",
        "fast",
        "unit",
        "notebooks",
        "browser",
        "fresh",
        "slow",
        "fuzz",
        "coverage",
        "export",
        "docs",
    } <= make_targets()
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[
        1
    ].split()
    assert {*phony} == make_targets()
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert {*re.findall(r"(?<=[ ;])make ([a-z]+)", run.split("set -euo")[1])} <= make_targets() | {"say"}


def test_dependabot_looks_at_what_there_is():
    config = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))
    assert config.keys() == {"version", "updates"} and config["version"] == 2
    assert [update["package-ecosystem"] for update in config["updates"]] == ["github-actions", "pip"]
    for update in config["updates"]:
        assert update["directory"] == "/" and update["schedule"]["interval"] in ("weekly", "monthly")
        assert update.keys() <= {
            "package-ecosystem",
            "directory",
            "schedule",
            "open-pull-requests-limit",
        }


def test_the_citation_agrees_with_the_project():
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "type", "authors", "version", "license"} <= facts.keys()
    assert facts["cff-version"] == "1.2.0" and facts["type"] == "software"
    settings = configparser.ConfigParser()
    settings.read(ROOT / "settings.ini")
    assert facts["version"] == settings["DEFAULT"]["version"] and facts["license"] == PROJECT["license"]
    assert (
        facts["title"].startswith(PROJECT["name"])
        and PROJECT["description"].lower() in facts["title"].lower()
    )
    assert [author["name"] for author in facts["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]


def test_the_hook_before_a_commit_downloads_nothing():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    (hook,) = config["repos"][0]["hooks"]
    assert {"id", "name", "entry", "language", "files", "pass_filenames"} == hook.keys()
    assert hook["language"] == "system" and hook["pass_filenames"] is False
    assert hook["entry"].split()[0] == "make" and hook["entry"].split()[1] in make_targets()
    assert re.match(hook["files"], "nbs/index.ipynb") and not re.match(hook["files"], "README.md")


def test_binder_finds_what_it_needs():
    "The same PyTorch as elsewhere, a Python that the project runs on, scripts that bash reads and that name what is there."
    folder = ROOT / ".binder"
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    asked = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    packages = [line for line in asked if line and not line.startswith(("#", "--"))]
    assert packages == [pin for pin in pins if pin.startswith("torch==")]
    python = re.fullmatch(r"python-(\d\.\d+)\n", (folder / "runtime.txt").read_text())[1]
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]
    for name in ("postBuild", "start"):
        script = folder / name
        assert os.name == "nt" or os.access(script, os.X_OK)
        text = script.read_text(encoding="utf-8")
        assert text.startswith("#!/usr/bin/env bash\n")
        if shutil.which("bash"):
            subprocess.run(["bash", "-n", str(script)], check=True)
    build = (folder / "postBuild").read_text(encoding="utf-8")
    assert '-c constraints.txt -e ".[lab]"' in build and "lab" in PROJECT["optional-dependencies"]
    assert asked[1] in build, "the index with PyTorch's builds for CPUs"
    started = re.search(r"\$root/([\w/]+)", (folder / "start").read_text(encoding="utf-8"))[1]
    assert (ROOT / started / "jupyter_server_config.json").is_file()
