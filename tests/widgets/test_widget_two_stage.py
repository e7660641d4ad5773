"The widget of two stages without a browser: one draft for all levels, messages, Stop, sentences."

import pytest
import torch
from tiny import tiny_pipeline, tiny_two_stage
from traitlets import TraitError
from widget_tools import PATIENCE, Pausing, check_poster, kept_page, page_sends

from t2i_learn.world.reader import describe_scene
from t2i_learn.widgets.base import rgb_bytes
from t2i_learn.widgets.two_stage import refinement_message, refine_levels, two_stage_widget
from t2i_learn.world.reader import read_scene

LEVELS = (0.4, 1.0, 3.0)
pytestmark = pytest.mark.filterwarnings("ignore:no caption in training held")
STEPS = 3


@pytest.fixture(scope="module")
def pipe():
    return tiny_two_stage()


@pytest.fixture
def open_widget(keep):
    "A maker of widgets."
    return lambda pipe, prompt="a red heart", **changes: keep(
        two_stage_widget(pipe, prompt, LEVELS, **{"num_inference_steps": STEPS} | changes)
    )


def test_one_draft_for_all_levels_and_the_pipelines_pictures(pipe):
    trajectories = [
        pipe.trajectory("a blue star", seed=1, refine_from=level, num_inference_steps=STEPS)
        for level in LEVELS
    ]
    steps = list(refine_levels(trajectories, first=2))
    ends = [step for step in steps if step.refinement]
    assert [step.level_index for step in ends] == [2, 1, 0] and [s.step for s in steps] == [
        *range(STEPS + 1),
        STEPS,
    ] * 3
    for index, _, refinement in ends:
        alone = pipe(
            "a blue star", seed=1, refine_from=LEVELS[index], num_inference_steps=STEPS, output_type="pt"
        ).images[0]
        assert torch.equal(alone, refinement.picture) and not torch.equal(
            refinement.noisy, refinement.draft
        )
        assert torch.equal(refinement.draft, ends[0].refinement.draft)


def test_what_is_looked_at_comes_first(open_widget, sent, pipe):
    widget = open_widget(pipe)
    assert widget.levels[widget.level_index] == min(
        LEVELS, key=lambda level: abs(level - pipe.model.config["sampling"]["refine_from"])
    )
    widget.level_index = 2
    widget.draw().background.wait()
    kept = [message for message in sent if message[0]["type"] != "step"]
    assert [(content["type"], content.get("level_index")) for content, _ in kept] == [
        ("start", None),
        ("draft", None),
        ("refinement", 2),
        ("refinement", 1),
        ("refinement", 0),
    ]
    assert all(
        [len(b) for b in buffers] == [3 * 32 * 32] * 2
        for content, buffers in sent
        if content["type"] == "refinement"
    )
    assert not widget.running and widget.recorded_messages() == kept


def test_readings_and_claims_are_the_oracles(pipe):
    *_, (_, _, refinement) = refine_levels(
        [pipe.trajectory("a blue star", seed=1, refine_from=1.0, num_inference_steps=STEPS)]
    )
    scene = read_scene(refinement.draft)
    content, buffers = refinement_message("a blue star", 1, refinement, scene, "code")
    assert content["text"] == describe_scene(read_scene(refinement.picture)) and buffers == [
        rgb_bytes(refinement.noisy),
        rgb_bytes(refinement.picture),
    ]
    assert content["rms_change"] == pytest.approx(
        (refinement.picture - refinement.draft).square().mean().sqrt().item(), abs=1e-3
    )
    assert content["in_grammar"] and [claim["words"] for claim in content["claims"]] == [
        "a blue star",
        "no other thing",
    ]
    assert not refinement_message("a cat on a mat", 1, refinement, scene, "")[0]["in_grammar"], (
        "no claims are made up for such a prompt"
    )


def test_copy_as_code_makes_draft_and_picture(open_widget, sent, pipe):
    widget = open_widget(pipe, 'a "blue" heart', negative_prompt="it's red")
    widget.draw().background.wait()
    for content, pictures in [message for message in sent if message[0]["type"] == "refinement"]:
        made = {"pipe": pipe}
        exec(content["code"], made)
        (draft,) = [buffers for content, buffers in sent if content["type"] == "draft"]
        assert rgb_bytes(made["refined"][0]) == pictures[1] and [rgb_bytes(made["draft"][0])] == draft


def test_stop_ends_within_one_step(open_widget):
    slow = tiny_two_stage()
    watch, widget = Pausing(slow), open_widget(slow)
    begun = watch.hold(widget, STEPS + 1)
    widget.draw()
    assert begun.wait(PATIENCE)
    page_sends(widget, type="stop")
    widget.background.wait()
    assert (
        watch.count == STEPS + 1
        and [content["type"] for content, _ in widget.messages] == ["draft", "refinement"]
        and not widget.running
    )


def test_what_makes_no_sense_is_a_sentence(open_widget, pipe, capsys):
    widget = open_widget(pipe)
    for changes, sentence in (
        ({"prompt": ""}, "The prompt is empty"),
        ({"alpha": 1}, "Alpha must be a number, above 1"),
        ({"sampler": "heun"}, "heun"),
    ):
        page_sends(widget, type="draw", form=widget.form | changes)
        assert sentence in widget.message and not widget.running
        page_sends(
            widget,
            type="draw",
            form={**widget.form, "prompt": "a heart", "alpha": 1.8, "sampler": "ddim"},
        )
        widget.background.wait()
        assert widget.message == ""
    assert capsys.readouterr().err == ""
    with pytest.raises(ValueError, match="has no draft to refine"):
        two_stage_widget(tiny_pipeline())
    with pytest.raises(TraitError, match="there are 3 levels"):
        widget.level_index = 3
    assert two_stage_widget(pipe, levels=LEVELS, refine_from=2.6).level_index == 2
    for levels in ((), (0.0, 1.0), (2.0, 1.0), (1.0, 1.0)):
        with pytest.raises(ValueError, match="levels are noise levels above 0, rising"):
            two_stage_widget(pipe, levels=levels)


@pytest.mark.parametrize(
    "change", [{"prompt": ["a heart"]}, {"steps": 3}, {"alpha": "heavy"}, {"seed": None}], ids=str
)
def test_a_form_that_no_page_of_ours_sends_is_a_sentence(open_widget, pipe, change):
    widget = open_widget(pipe)
    before = widget.form
    page_sends(widget, type="draw", form={**widget.form, **change})
    assert (
        widget.message.startswith("The page sent what this widget cannot use: ")
        and "\n" not in widget.message
    )
    assert widget.form == before and widget.messages == [] and not widget.running


def test_the_page_that_is_kept_holds_every_level(open_widget, pipe, tmp_path):
    widget = open_widget(pipe).draw()
    _, data = kept_page(widget, tmp_path)
    assert sorted(c["level_index"] for c, _ in data["recording"] if c["type"] == "refinement") == [
        0,
        1,
        2,
    ]


def test_the_poster_is_there_before_and_after(open_widget, pipe):
    check_poster(open_widget(pipe))
