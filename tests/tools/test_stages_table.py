"The table of two stages: its rows are the pipeline's pictures, and false starts are false."

import json
from types import SimpleNamespace

import pytest
import results
import stages_table as tool
import torch
from tiny import tiny_two_stage

from t2i_learn.core.settings import make_request
from t2i_learn.stable.two_stage import fixed_refinement_grid, learned_refinement_grid, sample_draft
from t2i_learn.world.captions import load_prompts

CAPTIONS = [prompt.caption for prompt in load_prompts("validation", 1)][:4]
pytestmark = pytest.mark.filterwarnings("ignore:no caption in training held")


@pytest.fixture(scope="module")
def pipe():
    return tiny_two_stage()


def test_every_row_has_its_own_name_and_all_that_is_promised_is_there():
    rows = tool.rows(1.5, 1.8, 12)
    assert len({row.name for row in rows}) == len(rows)
    assert (
        {row.steps for row in rows if row.name.startswith("from noise")}
        == {2, 4, 6, 8, 12}
        == {row.steps for row in rows if row.name.startswith("refined")}
    )
    assert [row.name for row in rows if row.alpha == 2.0] == ["alpha 2", "alone, alpha 2"]


@pytest.mark.parametrize("name", ["alone", "refined 4", "alpha 2"])
def test_a_row_is_what_the_pipeline_draws(pipe, name):
    (row,) = [row for row in tool.rows(1.5, 1.8, 3) if row.name == name]
    asked = {
        "refine_from": row.level,
        "alpha": row.alpha,
        "num_inference_steps": row.steps,
        "seed": 0,
        "output_type": "pt",
    }
    assert torch.allclose(
        tool.draw(pipe, row, CAPTIONS, 5), pipe(CAPTIONS, first=5, **asked).images, atol=1e-5
    )


def test_false_starts_forget_the_draft(pipe, monkeypatch):
    monkeypatch.setattr(
        tool,
        "refine_draft",
        lambda model, request, cond, draft, std, grid: [SimpleNamespace(picture=draft)],
    )
    own = sample_draft(
        pipe.model,
        make_request(pipe.model.config, CAPTIONS, seed=0, alpha=1.8),
        pipe.model.encode(CAPTIONS),
    )
    mean = torch.tensor(pipe.model.config["mean"]).view(-1, 1, 1).expand_as(own)
    for start, expected in (
        ("own", own),
        ("another", own[[3, 0, 1, 2]]),
        ("blank", 0 * own),
        ("mean", mean),
    ):
        drawn = tool.draw(pipe, tool.Row("", 3, 1.0, 1.8, start), CAPTIONS, 0)
        assert torch.equal(drawn, expected.detach())


def test_noise_begins_with_the_mean_and_spread_of_all_pictures(pipe, monkeypatch):
    begun = []
    monkeypatch.setattr(
        tool,
        "refine_draft",
        lambda model, request, cond, draft, std, grid: [
            begun.append((draft, std)) or SimpleNamespace(picture=draft)
        ],
    )
    (row,) = [row for row in tool.rows(1.5, 1.8, 3) if row.name == "from noise 4"]
    tool.draw(pipe, row, CAPTIONS, 0)
    (draft, std), config = begun[0], pipe.model.config
    assert row.grid is fixed_refinement_grid and {
        row.grid for row in tool.rows(1.5, 1.8, 3) if row.name.startswith("refined")
    } == {learned_refinement_grid}
    assert std == config["std"] and torch.equal(draft[1, :, 3, 5], torch.tensor(config["mean"]))
    assert float(pipe.model.schedule.t_of(torch.tensor(row.level))) == pytest.approx(config["t_max"]), (
        "the top of its own schedule"
    )


def test_the_test_is_opened_once_and_chooses_nothing(pipe, tmp_path, monkeypatch):
    "A run that has nothing left to draw opens nothing."
    pipe.save_pretrained(tmp_path / "weights" / "tiny")
    for module in (tool, results):
        monkeypatch.setattr(module, "weights_path", lambda: tmp_path / "weights")
    monkeypatch.setattr(results, "faster", lambda pipe: "fp32")
    monkeypatch.setattr(tool, "data_path", lambda name: tmp_path / name)
    monkeypatch.setattr(tool, "load", lambda name: pipe)
    monkeypatch.setattr(
        tool, "draw", lambda pipe, row, captions, first: torch.ones(len(captions), 3, 32, 32)
    )
    before = dict(pipe.model.config["sampling"])
    for _ in range(2):
        tool.main("tiny", prompts_per_task=1, out=None, threads=0)
    (row,) = [
        json.loads(line) for line in (tmp_path / "prompts" / "opened.jsonl").read_text().splitlines()
    ]
    assert (row["edition"], row["reason"]) == (1, "the table of two stages")
    assert row["sha256"] == results.fingerprint(tmp_path / "weights" / "tiny" / "model.safetensors")
    tool.main("tiny", prompts_per_task=2, out=None, threads=0)
    assert len((tmp_path / "prompts" / "opened.jsonl").read_text().splitlines()) == 2
    assert pipe.model.config["sampling"] == before
