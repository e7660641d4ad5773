"The table of two stages: its rows are the pipeline's pictures, and false starts are false."

from types import SimpleNamespace

import pytest
import stages_table as tool
import torch
from tiny import tiny_two_stage

from t2i_learn.stable.two_stage import sample_draft
from t2i_learn.world.captions import load_prompts

CAPTIONS = [prompt.caption for prompt in load_prompts("validation", 1)][:4]
pytestmark = pytest.mark.filterwarnings("ignore:no caption in training held")


@pytest.fixture(scope="module")
def pipe():
    return tiny_two_stage()


def test_every_row_has_its_own_name_and_all_that_is_promised_is_there():
    rows = tool.rows(1.5, 1.8, 12)
    assert len({row.name for row in rows}) == len(rows)
    assert {row.steps for row in rows if row.name.startswith("from noise")} == {2, 4, 6, 8, 12} == {row.steps for row in rows if row.name.startswith("refined")}
    assert [row.name for row in rows if row.alpha == 2.0] == ["alpha 2", "alone, alpha 2"]


@pytest.mark.parametrize("name", ["alone", "refined 4", "alpha 2"])
def test_a_row_is_what_the_pipeline_draws(pipe, name):
    (row,) = [row for row in tool.rows(1.5, 1.8, 3) if row.name == name]
    asked = {"refine_from": row.level, "alpha": row.alpha, "num_inference_steps": row.steps, "seed": 0, "output_type": "pt"}
    assert torch.allclose(tool.draw(pipe, row, CAPTIONS, 5), pipe(CAPTIONS, first=5, **asked).images, atol=1e-5)


def test_false_starts_forget_the_draft(pipe, monkeypatch):
    monkeypatch.setattr(tool, "refined", lambda model, order, cond, draft, rho, levels: [SimpleNamespace(x0_hat=draft, rho=rho)])
    own = sample_draft(pipe.model, tool.order_for(pipe.model.config, CAPTIONS, seed=0, alpha=1.8), pipe.model.encode(CAPTIONS))
    mean = torch.tensor(pipe.model.config["mean"]).view(-1, 1, 1).expand_as(own)
    for start, expected in (("own", own), ("another", own[[3, 0, 1, 2]]), ("blank", 0 * own), ("mean", mean)):
        drawn = tool.draw(pipe, tool.Row("", 3, 1.0, 1.8, start), CAPTIONS, 0)
        assert torch.equal(drawn, expected.detach())


def test_noise_begins_with_the_mean_and_spread_of_all_pictures(pipe, monkeypatch):
    begun = []
    monkeypatch.setattr(tool, "refined", lambda model, order, cond, draft, rho, levels: [begun.append((draft, rho)) or SimpleNamespace(x0_hat=draft)])
    (row,) = [row for row in tool.rows(1.5, 1.8, 3) if row.name == "from noise 4"]
    tool.draw(pipe, row, CAPTIONS, 0)
    (draft, rho), config = begun[0], pipe.model.config
    assert row.levels is tool.by_schedule and {row.levels for row in tool.rows(1.5, 1.8, 3) if row.name.startswith("refined")} == {tool.by_coefficient}
    assert rho == config["std"] and torch.equal(draft[1, :, 3, 5], torch.tensor(config["mean"]))
    assert float(pipe.model.schedule.t_of(torch.tensor(row.level))) == pytest.approx(config["t_max"]), "the top of its own schedule"
