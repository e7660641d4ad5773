"The forward widget without a browser: the page's arithmetic, by node, against torch; pictures, messages, sentences."

import pytest
import torch
from PIL import Image
from scripts import close_to, in_node
from traitlets import TraitError

from steady import seeded
from t2i_learn.core.show import to_image, to_tensor
from t2i_learn.diffusion.schedules import (
    cosine_schedule,
    flow_schedule,
    linear_schedule,
    log_linear_schedule,
)
from t2i_learn.widgets.base import handle_message
from t2i_learn.widgets.forward import ForwardProcessWidget, forward_widget, schedule_from_log_snr

CURVE = [9.0, 6.5, 6.5, 1.0, -0.5, -7.0, -9.5]
TIMES = [0.001, 0.1, 0.26, 0.5, 0.75, 0.9, 0.998]
SCHEDULES = {
    "cosine": cosine_schedule(),
    "linear": linear_schedule(),
    "straight": flow_schedule(),
    "log_linear": log_linear_schedule(),
    "custom": schedule_from_log_snr(CURVE),
}
FORWARD = ("noising", "forward")  # its scripts


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_the_page_draws_torchs_noise(tmp_path, seed):
    sizes = [16, 24, 35, 3072]
    found = in_node(tmp_path, FORWARD, "sizes.map((n) => randn(seed, n))", sizes=sizes, seed=seed)
    for size, noise in zip(sizes, found):
        assert close_to(noise, torch.randn(size, generator=seeded(seed)))
    found = in_node(tmp_path, FORWARD, "uniforms(seed, 50)", seed=seed)
    assert close_to(found, torch.rand(50, generator=seeded(seed)))


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(tmp_path, name):
    expression = "times.map((t) => levelsAt(scheduleOf(name, curve), t))"
    found = in_node(tmp_path, FORWARD, expression, times=[*TIMES, 1.0], name=name, curve=CURVE)
    times, schedule = torch.tensor([*TIMES, 1.0], dtype=torch.float64), SCHEDULES[name]
    wanted = {"sigma": schedule.sigma, "b": schedule.b, "s": schedule.s, "logSnr": schedule.log_snr}
    for key, function in wanted.items():
        assert close_to([levels[key] for levels in found], function(times)), key


def test_noising_a_picture(tmp_path):
    x0, z = (
        to_tensor(to_image(torch.rand(3, 12, 12, generator=seeded(0)) * 2 - 1)),
        torch.randn(3, 12, 12, generator=seeded(1)),
    )
    rgb = list(to_image(x0).tobytes())
    expression = "(() => { const x0 = planes(rgb); return [x0, ...times.map((t) => { const at = levelsAt(scheduleOf('cosine'), t); return mixed(x0, z, at.b, at.s); })]; })()"
    planes, *found = in_node(tmp_path, FORWARD, expression, rgb=rgb, z=z.flatten().tolist(), times=TIMES)
    assert close_to(planes, x0, 1e-6)
    for t, x in zip(TIMES, found):
        t = torch.tensor(t, dtype=torch.float64)
        assert close_to(x, cosine_schedule().b(t) * x0.double() + cosine_schedule().s(t) * z.double())


def test_what_is_drawn_and_counted(tmp_path):
    x = 1.5 * torch.randn(3, 12, 12, generator=seeded(2))
    expression = "[pixels(x, 1, new Uint8ClampedArray(576)), histogram(x, -3, 3, 30), moments(x)]"
    rgba, density, moments = in_node(tmp_path, FORWARD, expression, x=x.flatten().tolist())
    colours = torch.tensor(rgba).reshape(12, 12, 4)
    assert (colours[..., 3] == 255).all()
    assert (
        colours[..., :3] - torch.tensor(list(to_image(x).tobytes())).reshape(12, 12, 3)
    ).abs().max() <= 1
    assert close_to(density, torch.histc(x, 30, -3, 3) / x.numel() / 0.2)
    assert close_to(
        [moments["mean"], moments["deviation"]], [float(x.mean()), float(x.std(correction=0))]
    )


def test_a_bent_curve_never_rises(tmp_path):
    bends = [[k, value] for k in range(7) for value in (-30.0, -1.0, 0.5, 30.0)]
    for curve in in_node(
        tmp_path, FORWARD, "bends.map(([k, v]) => bent(curve, k, v))", bends=bends, curve=CURVE
    ):
        assert schedule_from_log_snr(curve) and max(map(abs, curve)) <= 10
    for name in ("cosine", "linear", "straight", "log_linear"):
        traced = in_node(tmp_path, FORWARD, "traced(scheduleOf(name))", name=name)
        times = torch.linspace(0, 1, 7, dtype=torch.float64)
        assert close_to(traced, SCHEDULES[name].log_snr(times).clamp(-10, 10), 6e-3)


@pytest.mark.parametrize(
    ("schedule", "compare"), [("cosine", ""), ("linear", "custom"), ("custom", "straight")]
)
def test_copied_code_makes_what_the_page_shows(tmp_path, item, schedule, compare, monkeypatch):
    state = {
        "t": 0.42,
        "schedule": schedule,
        "compare": compare,
        "seed": 5,
        "curve": CURVE,
        "code": "scene_picture(4, 16)",
    }
    expression = "[codeOf(state), ...[state.schedule, state.compare || state.schedule].map((name) => { const at = levelsAt(scheduleOf(name, state.curve), state.t); return mixed(planes(rgb), randn(5, 768), at.b, at.s); })]"
    code, first, second = in_node(
        tmp_path, FORWARD, expression, state=state, rgb=list(to_image(item.picture).tobytes())
    )
    made = {}
    monkeypatch.setattr("t2i_learn.core.show.show", lambda figure, alt: None)
    exec(code, made)
    assert close_to(first, made["x_t"])
    assert close_to(second, made["x_u" if compare else "x_t"])


def test_forward_says_what_is_wrong_with_a_picture(tmp_path):
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "teal.png")
    widget = forward_widget(tmp_path / "teal.png", t=0.2)
    assert widget.choices[0].label == "teal.png" and widget.picture_index == 0
    assert widget.choices[0].picture.shape == (3, 64, 64)
    widget.close()
    damaged = (tmp_path / "teal.png").read_bytes()[:60]
    (tmp_path / "damaged.png").write_bytes(damaged)
    (tmp_path / "text.png").write_text("not a picture")
    for name, words in [
        ("damaged.png", "not a picture that can be read"),
        ("text.png", "not a picture"),
        ("none.png", "no file"),
    ]:
        with pytest.raises(ValueError, match=words) as caught:
            forward_widget(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="shape"):
        forward_widget(torch.zeros(1, 3, 8, 8))


def test_a_curve_that_rises_is_refused():
    for points in ([1.0], [0.0, 1.0], []):
        with pytest.raises(ValueError, match="a curve needs"):
            schedule_from_log_snr(points)


def test_forward_answers_its_page(item, sent):
    widget = ForwardProcessWidget([item])
    handle_message(widget, {"type": "ready"}, [])
    ((content, buffers),) = sent
    assert content["choices"] == [{"label": "a scene", "code": "scene_picture(4, 16)"}] and [
        len(b) for b in buffers
    ] == [768]
    handle_message(widget, {"type": "scene"}, [])
    assert len(sent[-1][1]) == 2 and widget.picture_index == 1 and widget.message == ""
    widget.close()


def test_copied_code_of_a_picture_from_a_file_runs(tmp_path, monkeypatch):
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "it's teal.png")
    widget = forward_widget(tmp_path / "it's teal.png")
    state = {
        "t": 0.42,
        "schedule": "cosine",
        "compare": "",
        "seed": 5,
        "curve": CURVE,
        "code": widget.choices[0].code,
    }
    made = {}
    monkeypatch.setattr("t2i_learn.core.show.show", lambda figure, alt: None)
    exec(in_node(tmp_path, FORWARD, "codeOf(state)", state=state), made)
    assert torch.equal(made["x0"], widget.choices[0].picture) and made["x_t"].shape == (1, 3, 64, 64)
    widget.close()


def test_traits_refuse_what_makes_no_sense(item):
    widget = ForwardProcessWidget([item])
    for name, value in [
        ("t", 1.5),
        ("schedule", "cosinus"),
        ("compare", "x"),
        ("seed", -1),
        ("log_snr_curve", [1.0]),
    ]:
        with pytest.raises(TraitError):
            setattr(widget, name, value)
    widget.close()


def test_scenes_come_to_an_end(item, sent):
    widget = ForwardProcessWidget([item] * 200)
    handle_message(widget, {"type": "scene"}, [])
    assert (
        widget.message == "There are 200 pictures already: run the cell again to begin anew."
        and not sent
    )
    widget.picture_index = 10_000
    assert widget.poster()
    widget.close()
