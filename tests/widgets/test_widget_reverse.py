"The reverse widget without a browser: forks, Stop, the newest request, messages, sentences, the page that is kept."

import ast
import json
import threading
from base64 import b64decode
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_pipeline
from widget_tools import (
    PATIENCE,
    Pausing,
    check_nothing_is_left,
    check_poster,
    drawn,
    kept_page,
    page_sends,
    same,
    sent_messages,
)

from t2i_learn.diffusion.sampling import SAMPLERS
from t2i_learn.core.show import to_image
from t2i_learn.widgets import reverse as module
from t2i_learn.widgets.base import rgb_bytes
from t2i_learn.world.grammar import clauses_of, parse_prompt
from t2i_learn.world.score import clause_verdicts, settling_step
from t2i_learn.widgets.form import round_robin
from t2i_learn.widgets.reverse import resume_trajectory
from t2i_learn.world.tasks import TASKS
from t2i_learn.world.captions import false_caption, sample_example, SPLIT_TASKS
from t2i_learn.world.reader import read_scene
from t2i_learn.world.scenes import RELATIONS, Scene, Thing
from t2i_learn.world.score import check_spec

STEPS = 5
pytestmark = pytest.mark.filterwarnings("ignore:no caption in training held")


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


@pytest.fixture
def sent(monkeypatch):
    return sent_messages(monkeypatch)


@pytest.fixture
def open_widget(keep):
    "A maker of widgets."

    def make(pipe, **changes):
        named = {"num_inference_steps": STEPS, "seed": 3} | changes
        return keep(module.reverse_widget(pipe, named.pop("prompt", "a red heart"), **named))

    return make


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
def test_a_fork_with_nothing_changed_repeats_the_rest_bit_for_bit(pipe, name, guidance_scale):
    call = {
        "seed": 11,
        "num_inference_steps": 6,
        "guidance_scale": guidance_scale,
        "sampler": name,
        "negative_prompt": "a star",
    }
    whole = list(pipe.trajectory("two blue stars", **call))
    for k in range(6):
        assert same(whole[k:], list(resume_trajectory(pipe, whole[k], "two blue stars", **call))), (
            f"{name} from step {k}"
        )


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_fork_of_a_fork_too(pipe, name):
    call = {"seed": 2, "num_inference_steps": 6, "sampler": name}
    whole = list(pipe.trajectory("a heart", **call))
    first = list(resume_trajectory(pipe, whole[2], "a star", reset_history=True, **call))
    assert same(first[2:], list(resume_trajectory(pipe, first[2], "a star", **call)))
    assert not torch.equal(first[-1].x0_hat, whole[-1].x0_hat)


def test_a_fork_keeps_the_number_of_steps(pipe):
    state = next(pipe.trajectory("a heart", seed=1, num_inference_steps=6))
    with pytest.raises(ValueError, match="keeps the levels"):
        list(
            resume_trajectory(
                pipe,
                list(pipe.trajectory("a heart", seed=1, num_inference_steps=6))[3],
                "a heart",
                seed=1,
                num_inference_steps=7,
            )
        )
    assert len(list(resume_trajectory(pipe, state, "a heart", seed=1, num_inference_steps=6))) == 6


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_widgets_fork_is_exact(open_widget, pipe, name):
    widget = open_widget(pipe, sampler=name).draw()
    widget.background.wait()
    widget.b = widget.a
    for step in range(STEPS):
        widget.fork(step).background.wait()
        a, b = widget.trajectories["a"], widget.trajectories["b"]
        assert (
            same(a.states, b.states)
            and b.fork_step == step
            and not b.reset_history
            and len(b.states) == STEPS
        )
        assert a.scenes == b.scenes


def test_a_fork_with_other_words_shares_what_was_before(open_widget, pipe):
    widget = open_widget(pipe, sampler="dpmpp_2m", other_prompt="three blue stars").draw()
    widget.background.wait()
    widget.fork(2).background.wait()
    a, b = widget.trajectories["a"], widget.trajectories["b"]
    assert same(a.states[:2], b.states[:2]) and b.reset_history
    assert torch.equal(a.states[2].y, b.states[2].y) and not torch.equal(
        a.states[2].x0_hat, b.states[2].x0_hat
    )


def test_each_picture_is_told_when_it_is_made_and_before_it_is_read(open_widget, sent):
    slow = tiny_pipeline()
    watch, counts = Pausing(slow), []
    watch.pause = lambda count: counts.append([m.kind for m in sent].count("step"))
    widget = open_widget(slow, guidance_scale=1.0).draw()
    widget.background.wait()
    assert counts == list(range(STEPS)), (
        "when the network is asked for step k + 1, k pictures are on the page"
    )
    kinds = [m.kind for m in sent if m.kind in ("step", "reading", "verdicts")]
    assert kinds == ["step", "reading", "verdicts"] * STEPS
    steps = [m for m in sent if m.kind == "step"]
    assert [[len(b) for b in m.buffers] for m in steps] == [[3 * 32 * 32] * 3] * STEPS
    assert steps[0].thread is not threading.main_thread()


def test_bytes_are_the_pictures(open_widget, sent, pipe):
    widget = open_widget(pipe).draw()
    widget.background.wait()
    state = widget.trajectories["a"].states[1]
    noisy, predicted, noise = [m for m in sent if m.kind == "step"][1].buffers
    assert predicted == to_image(state.x0_hat[0]).tobytes() and len({noisy, predicted, noise}) == 3


def test_stop_ends_within_one_step(open_widget, sent):
    slow = tiny_pipeline()
    watch, widget = Pausing(slow), open_widget(slow, guidance_scale=1.0)
    begun = watch.hold(widget, 3)
    widget.draw()
    assert begun.wait(PATIENCE) and widget.running
    page_sends(widget, type="stop")
    widget.background.wait()
    assert len(widget.trajectories["a"].states) == 3 and watch.count == 3, (
        "the step that was being taken is the last"
    )
    assert not widget.running and widget.message == ""
    assert len(list(widget.trajectories["a"].remaining)) == 0, "and nothing goes on later"


def test_the_newest_request_wins(open_widget, sent):
    slow = tiny_pipeline()
    watch, widget = Pausing(slow), open_widget(slow, guidance_scale=1.0)
    begun = watch.hold(widget, 2)
    widget.draw()
    assert begun.wait(PATIENCE)
    older = widget.background.thread
    page_sends(widget, type="draw", which="a", a=widget.a | {"prompt": "a star"})
    assert not older.is_alive()
    widget.background.wait()
    assert (
        widget.trajectories["a"].prompt == widget.a["prompt"] == "a star"
        and len(widget.trajectories["a"].states) == STEPS
    )
    begins = [k for k, m in enumerate(sent) if m.kind == "trajectories"]
    assert len([m for m in sent[begins[-1] :] if m.kind == "step"]) == STEPS, (
        "no step of the older comes after the newer began"
    )


def test_two_lanes_are_drawn_in_step(open_widget, sent, pipe):
    widget = open_widget(pipe)
    page_sends(widget, type="draw", which="ab", b=widget.b | {"num_inference_steps": 3})
    widget.background.wait()
    order = [m.content["trajectory"] for m in sent if m.kind == "step"]
    assert order == [*"ababab", *"aa"]
    assert widget.recorded_messages()[0][0] == {"type": "trajectories", "names": ["a", "b"]}


def test_what_makes_no_sense_is_a_sentence(open_widget, pipe, capsys):
    widget = open_widget(pipe)
    page_sends(widget, type="fork", step=0)
    assert widget.message == "There is no such step to go on from: draw first."
    for change, said in (
        ({"prompt": " "}, "The prompt is empty"),
        ({"sampler": "dim"}, "did you mean 'ddim'"),
        ({"num_inference_steps": 0}, "at least 1"),
        ({"seed": -1}, "must be a whole number, at least 0"),
    ):
        page_sends(widget, type="draw", which="a", a=widget.b | change)
        assert said in widget.message and "\n" not in widget.message and not widget.running
    page_sends(widget, type="draw", which="a", a=widget.b)
    widget.background.wait()
    assert widget.message == "" and capsys.readouterr().err == ""


def test_a_failing_network_is_a_sentence_and_the_widget_goes_on(open_widget, capsys):
    broken = tiny_pipeline()
    watch = Pausing(broken)
    widget = open_widget(broken)

    def fail(count):
        if count == 2:
            raise RuntimeError("out of memory\nat some address")

    watch.pause = fail
    widget.draw().background.wait()
    assert (
        "RuntimeError: out of memory at some address." in widget.message
        and "Traceback" not in widget.message
    )
    assert (
        not widget.running
        and len(widget.trajectories["a"].states) == 1
        and capsys.readouterr().err == ""
    )
    watch.pause = lambda count: None
    widget.draw().background.wait()
    assert widget.message == "" and len(widget.trajectories["a"].states) == STEPS


def test_strange_words_are_noted(open_widget, pipe):
    widget = open_widget(pipe, prompt="a red quokka").draw()
    widget.background.wait()
    assert "'quokka'" in widget.notes and widget.message == ""
    widget.b = widget.b | {"prompt": "a red wombat"}
    widget.fork(1).background.wait()
    assert "'wombat'" in widget.notes


def test_a_view_that_opens_late_is_told_everything(open_widget, sent, pipe):
    widget = open_widget(pipe).draw()
    widget.background.wait()
    live = [(m.content, m.buffers) for m in sent if m.kind == "step"]
    sent.clear()
    page_sends(widget, type="ready")
    again = [(m.content, m.buffers) for m in sent if m.kind == "step"]
    assert again == live and {m.kind for m in sent} == {
        "trajectories",
        "trajectory",
        "step",
        "reading",
        "verdicts",
    }


def test_a_view_that_is_ready_is_answered_alone(open_widget, sent, pipe):
    widget = drawn(open_widget(pipe))
    assert not any("to" in m.content for m in sent), "steps are for every view"
    sent.clear()
    page_sends(widget, type="ready", view="second")
    assert sent and {m.content.get("to") for m in sent} == {"second"}
    sent.clear()
    page_sends(widget, type="draw", which="a")
    widget.background.wait()
    assert sent and not any("to" in m.content for m in sent)


def test_copy_as_code_makes_the_same_states(open_widget, pipe, monkeypatch):
    widget = open_widget(pipe, prompt='a "red" heart', negative_prompt="it's blue", sampler="lms").draw()
    widget.background.wait()
    widget.fork(2).background.wait()
    ast.parse(widget.code)
    made = {"pipe": pipe}
    exec(widget.code, made)
    assert same(made["a"], widget.trajectories["a"].states) and same(
        made["b"], widget.trajectories["b"].states
    )


def test_the_page_that_is_kept_holds_every_frame(open_widget, pipe, tmp_path):
    widget = open_widget(pipe).draw()
    widget.background.wait()
    text, data = kept_page(widget, tmp_path)
    frames = [buffers for content, buffers in data["recording"] if content["type"] == "step"]
    assert [b64decode(b) for b in frames[-1]] == [
        rgb_bytes(p) for p in module.step_panels(widget.trajectories["a"].states[-1])
    ]
    assert data["state"]["a"]["prompt"] == "a red heart" and data["state"]["running"] is False
    assert len(text) < 400_000


def test_the_poster_is_there_before_and_after(open_widget, pipe):
    widget = open_widget(pipe)
    check_poster(widget)


def test_traits_are_small(open_widget, pipe):
    widget = open_widget(pipe).draw()
    widget.background.wait()
    state = {name: value for name, value in widget.get_state().items() if not name.startswith("_")}
    assert len(json.dumps(state, default=str)) < 32_000


def test_a_closed_widget_gives_up_its_drawing(open_widget):
    slow = tiny_pipeline()
    watch, widget = Pausing(slow), open_widget(slow)
    begun = watch.hold(widget, 2)
    widget.draw()
    assert begun.wait(PATIENCE)
    widget.close()
    assert not widget.background.thread.is_alive() and watch.count == 2


def test_two_hundred_leave_nothing_behind(pipe):
    check_nothing_is_left(
        lambda: module.reverse_widget(pipe, "a red heart", num_inference_steps=1, guidance_scale=1.0),
        drawn,
    )


@given(st.lists(st.booleans()))
def test_since_is_the_beginning_of_the_last_run(flags):
    k = settling_step(flags)
    if k is None:
        assert not flags or not flags[-1]
    else:
        assert all(flags[k:]) and k < len(flags) and (k == 0 or not flags[k - 1])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(TASKS)), st.integers(0, 2**31))
def test_captions_are_understood_and_their_clauses_agree_with_the_oracle(task, seed):
    generator = torch.Generator().manual_seed(seed)
    example = sample_example(task, "seen" if task in SPLIT_TASKS["seen"] else "e", generator)
    wrong, _ = false_caption(example, generator)
    assert check_spec(parse_prompt(example.caption), example.scene)[0]
    assert not check_spec(parse_prompt(wrong), example.scene)[0], "a near miss is a miss"
    for caption in (example.caption, wrong):
        spec = parse_prompt(caption)
        assert (
            all(check_spec(claim, example.scene)[0] for _, claim in clauses_of(spec))
            == check_spec(spec, example.scene)[0]
        )


@given(st.text())
def test_any_text_is_a_spec_or_none(text):
    spec = parse_prompt(text)
    assert spec is None or clauses_of(spec)


def test_an_unknown_prompt_is_judged_by_the_last_scene(pipe):
    scenes = [
        read_scene(state.picture[0]) for state in pipe.trajectory("a cat", seed=1, num_inference_steps=3)
    ]
    assert parse_prompt("a cat") is None
    assert all(flags[-1] for _, flags in clause_verdicts("a cat", scenes))


def test_a_walk_that_is_given_up_is_closed():
    closed = []

    def walk():
        try:
            yield from range(9)
        finally:
            closed.append(True)

    steps = round_robin({"a": walk(), "b": iter(())})
    assert next(steps) == ("a", 0)
    steps.close()
    assert closed == [True]


# ---- margins ----


def two_things(x, y):
    "A red heart in the middle, and a blue star so far away from it."
    return Scene(
        (Thing("heart", "red", 0.5, 0.5, 0.12), Thing("star", "blue", 0.5 + x, 0.5 + y, 0.12)), "mint"
    )


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize(
    ("along", "across"), [(0.3, 0.0), (0.3, 0.29), (0.3, 0.4), (0.1, 0.0), (-0.3, 0.0)]
)
def test_a_relation_has_a_note_where_its_direction_is_right_and_its_margin_is_not(
    relation, along, across
):
    dx, dy = RELATIONS[relation]
    scene = two_things(-dx * along + dy * across, -dy * along + dx * across)
    prompt = f"a red heart {relation} a blue star"
    ((words, (note,)),) = module.relation_notes(prompt, [scene]).items()
    holds = dict(clause_verdicts(prompt, [scene]))[words] == [True]
    assert bool(note) == (along > 0 and not holds)
    assert not note or (f"{along:.2f}" in note and f"{across:.2f}" in note)


def test_a_note_is_about_the_things_of_the_prompt():
    scene, prompt = two_things(0.3, 0.4), "a red heart left of a blue star"
    (note,) = module.relation_notes(prompt, [scene])["the heart left of the star"]
    assert note and module.relation_notes("a red heart left of a green star", [scene]) == {
        "the heart left of the star": [""]
    }
    more = replace(scene, things=(*scene.things, scene.things[0]))
    assert module.relation_notes(prompt, [more]) == {"the heart left of the star": [""]}, (
        "which of the two?"
    )


def test_notes_and_verdicts_go_to_the_page_together(open_widget, sent, pipe):
    drawn(open_widget(pipe, prompt="a red heart left of a blue star"))
    last = [message for message in sent if message.kind == "verdicts"][-1].content
    assert all(len(row["notes"]) == len(row["holds"]) == STEPS for row in last["clauses"])


def test_notes_of_the_last_drawing_are_gone_after_an_error(open_widget, pipe):
    widget = drawn(open_widget(pipe, prompt="a quokka"))
    assert "quokka" in widget.notes
    page_sends(widget, type="draw", which="a", a=widget.a | {"prompt": " "})
    assert widget.message.startswith("The prompt is empty") and widget.notes == ""
