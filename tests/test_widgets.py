"The widgets without a browser: traits, messages, errors, clean-up; and the page's arithmetic, by node, against torch."

import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from scripts import close_to, in_node
from traitlets import TraitError
from widget_tools import check_nothing_is_left

from steady import seeded
from t2i_learn.core.show import to_image, to_tensor
from t2i_learn.diffusion.plane import PointDenoiser, error_per_sigma, point_learner
from t2i_learn.diffusion.samplers import ddim
from t2i_learn.diffusion.schedules import cosine_schedule, linear_schedule, log_linear_schedule, flow_schedule
from t2i_learn.widgets.base import handle_message, widget_snapshot
from t2i_learn.widgets.forward import ForwardProcessWidget, forward_widget, schedule_from_log_snr
from t2i_learn.widgets.plane import PlaneDiffusionWidget, heart_points, data_key, plane_sigmas, plane_mixture, plane_widget, network_message
from t2i_learn.world.points import clusters

CURVE = [9.0, 6.5, 6.5, 1.0, -0.5, -7.0, -9.5]
TIMES = [0.001, 0.1, 0.26, 0.5, 0.75, 0.9, 0.998]
SCHEDULES = {"cosine": cosine_schedule(), "linear": linear_schedule(), "straight": flow_schedule(), "log_linear": log_linear_schedule(), "own": schedule_from_log_snr(CURVE)}
FORWARD = ("noising", "forward")  # its scripts
PLANE = ("points", "plane")
DATA = ("moons", "clusters", "rings", "drawn")


# ---- the page's arithmetic ----


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
    x0, z = to_tensor(to_image(torch.rand(3, 12, 12, generator=seeded(0)) * 2 - 1)), torch.randn(3, 12, 12, generator=seeded(1))
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
    assert (colours[..., :3] - torch.tensor(list(to_image(x).tobytes())).reshape(12, 12, 3)).abs().max() <= 1
    assert close_to(density, torch.histc(x, 30, -3, 3) / x.numel() / 0.2)
    assert close_to([moments["mean"], moments["deviation"]], [float(x.mean()), float(x.std(correction=0))])


def test_a_bent_curve_never_rises(tmp_path):
    bends = [[k, value] for k in range(7) for value in (-30.0, -1.0, 0.5, 30.0)]
    for curve in in_node(tmp_path, FORWARD, "bends.map(([k, v]) => bent(curve, k, v))", bends=bends, curve=CURVE):
        assert schedule_from_log_snr(curve) and max(map(abs, curve)) <= 10
    for name in ("cosine", "linear", "straight", "log_linear"):
        traced = in_node(tmp_path, FORWARD, "traced(scheduleOf(name))", name=name)
        times = torch.linspace(0, 1, 7, dtype=torch.float64)
        assert close_to(traced, SCHEDULES[name].log_snr(times).clamp(-10, 10), 6e-3)


@pytest.mark.parametrize(("schedule", "compare"), [("cosine", ""), ("linear", "own"), ("own", "straight")])
def test_copied_code_makes_what_the_page_shows(tmp_path, item, schedule, compare, monkeypatch):
    state = {"t": 0.42, "schedule": schedule, "compare": compare, "seed": 5, "curve": CURVE, "source": "scene(4, 16)"}
    expression = "[codeOf(state), ...[state.schedule, state.compare || state.schedule].map((name) => { const at = levelsAt(scheduleOf(name, state.curve), state.t); return mixed(planes(rgb), randn(5, 768), at.b, at.s); })]"
    code, first, second = in_node(tmp_path, FORWARD, expression, state=state, rgb=list(to_image(item.picture).tobytes()))
    made = {}
    monkeypatch.setattr("t2i_learn.core.show.show", lambda figure: None)
    exec(code, made)
    assert close_to(first, made["x_t"])
    assert close_to(second, made["x_u" if compare else "x_t"])


@pytest.mark.parametrize("data", DATA)
def test_exact_fields_and_densities(tmp_path, data):
    at = 2 * torch.randn(30, 2, generator=seeded(3), dtype=torch.float64)
    sigmas = [0.05, 0.4, 2.0, 20.0]
    expression = "sigmas.map((s) => [denoiseExact(mixtureOf(data, drawn), at, s), logDensity(mixtureOf(data, drawn), at, s)])"
    found = in_node(tmp_path, PLANE, expression, sigmas=sigmas, data=data, drawn=heart_points(), at=at.flatten().tolist())
    points = plane_mixture(data, heart_points())
    for sigma, (field, logs) in zip(sigmas, found):
        assert close_to(field, points.denoise(at, sigma))
        assert close_to(logs, points.log_density(at, sigma))


def test_the_learned_field(tmp_path):
    model = point_learner(plane_mixture("moons")).fit(30).model.eval()
    content, (packed,) = network_message(model, "moons")
    at, sigmas = 2 * torch.randn(20, 2, generator=seeded(4)), [0.02, 0.3, 5.0]
    weights = torch.frombuffer(bytearray(packed), dtype=torch.float32).tolist()
    expression = "sigmas.map((s) => denoiseLearned(unpackNetwork(content, Float64Array.from(weights)), at, s))"
    found = in_node(tmp_path, PLANE, expression, sigmas=sigmas, content=content, weights=weights, at=at.flatten().tolist())
    for sigma, answer in zip(sigmas, found):
        assert close_to(answer, model.denoise(at, sigma))
    expression = "fieldError(mixtureOf('moons'), unpackNetwork(content, Float64Array.from(weights)), 0.3, 3000)"
    error = in_node(tmp_path, PLANE, expression, content=content, weights=weights)
    assert error == pytest.approx(float(error_per_sigma(model.denoise, plane_mixture("moons"), [0.3])[0]), rel=0.1)


@pytest.mark.parametrize("method", ["ddim", "flow"])
def test_ways_without_fresh_noise(tmp_path, method):
    expression = "trajectory((y, s) => denoiseExact(mixtureOf('clusters'), y, s), method, 9, 3, 40).map((s) => s.y)"
    found = in_node(tmp_path, PLANE, expression, method=method)
    sigmas = plane_sigmas(method, 9).double()
    grid = in_node(tmp_path, PLANE, "gridOf(method, 9)", method=method)
    assert close_to(grid, sigmas)
    start = torch.tensor(grid[0]) * torch.randn(40, 2, generator=seeded(3)).double()
    states = list(ddim(plane_mixture("clusters").denoise, start, torch.tensor(grid, dtype=torch.float64)))
    for y, wanted in zip(found, [*(state.y for state in states), states[-1].x0_hat], strict=True):
        assert close_to(y, wanted)


def test_ddpm_ends_on_the_data(tmp_path):
    expression = "trajectory((y, s) => denoiseExact(mixtureOf('clusters'), y, s), 'ddpm', 60, 3, 600).at(-1).y"
    ends = torch.tensor(in_node(tmp_path, PLANE, expression)).reshape(-1, 2)
    nearest = torch.cdist(ends.double(), plane_mixture("clusters").means).min(1)
    assert nearest.values.square().mean().sqrt() == pytest.approx(2**0.5 * 0.12, rel=0.15)
    assert (nearest.indices.bincount(minlength=8) / 600 - 1 / 8).abs().max() < 0.06


@pytest.mark.parametrize("method", ["ddpm", "ddim", "flow"])
@pytest.mark.parametrize("data", ["rings", "drawn"])
def test_copied_code_runs(tmp_path, method, data):
    state = {"data": data, "field": "exact", "method": method, "steps": 6, "seed": 2, "points": heart_points(12)}
    expression = "[codeOf(state), trajectory((y, s) => denoiseExact(mixtureOf(state.data, state.points), y, s), state.method, 6, 2).at(-1).y]"
    code, ends = in_node(tmp_path, PLANE, expression, state=state)
    made = {}
    exec(code, made)
    assert made["ends"].shape == (150, 2)
    if method != "ddpm":
        apart = (torch.tensor(ends).reshape(-1, 2) - made["ends"]).norm(dim=1)
        assert apart.median() < 1e-4, "a particle between two points may fall to either side"


@pytest.mark.parametrize("lessons", [0, 2])
def test_copied_code_of_a_learned_field_repeats_its_training(tmp_path, lessons):
    state = {"data": "clusters", "field": "learned", "method": "ddim", "steps": 4, "seed": 2, "points": [], "lessons": lessons}
    network = point_learner(clusters()).fit(2).model.eval()
    made = {"model": network}  # as for a network that was given
    exec(in_node(tmp_path, PLANE, "codeOf(state)", state=state), made)
    alike = {"denoise": network.denoise} | {name: made[name] for name in ("ddim", "sigmas", "z")}
    assert torch.equal(made["ends"], list(ddim(alike["denoise"], alike["sigmas"][0] * alike["z"], alike["sigmas"]))[-1].x0_hat)


# ---- Python's side ----


def test_forward_says_what_is_wrong_with_a_picture(tmp_path):
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "teal.png")
    widget = forward_widget(tmp_path / "teal.png", t=0.2)
    assert widget.items[0].label == "teal.png" and widget.picture == 0
    assert widget.items[0].picture.shape == (3, 64, 64)
    widget.close()
    damaged = (tmp_path / "teal.png").read_bytes()[:60]
    (tmp_path / "damaged.png").write_bytes(damaged)
    (tmp_path / "text.png").write_text("not a picture")
    for name, words in [("damaged.png", "not a picture that can be read"), ("text.png", "not a picture"), ("none.png", "no file")]:
        with pytest.raises(ValueError, match=words) as caught:
            forward_widget(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="shape"):
        forward_widget(torch.zeros(1, 3, 8, 8))


def test_a_curve_that_rises_is_refused():
    for points in ([1.0], [0.0, 1.0], []):
        with pytest.raises(ValueError, match="a curve needs"):
            schedule_from_log_snr(points)


def test_traits_refuse_what_makes_no_sense(item):
    widget = ForwardProcessWidget([item])
    for name, value in [("t", 1.5), ("schedule", "cosinus"), ("compare", "x"), ("seed", -1)]:
        with pytest.raises(TraitError):
            setattr(widget, name, value)
    widget.close()
    widget = PlaneDiffusionWidget()
    for name, value in [("steps", 1), ("method", "heun"), ("data", "spiral")]:
        with pytest.raises(TraitError):
            setattr(widget, name, value)
    widget.close()


def test_forward_answers_its_page(item, sent):
    widget = ForwardProcessWidget([item])
    handle_message(widget, {"type": "ready"}, [])
    (content, buffers), = sent
    assert content["items"] == [{"label": "a scene", "source": "scene(4, 16)"}] and [len(b) for b in buffers] == [768]
    handle_message(widget, {"type": "scene"}, [])
    assert len(sent[-1][1]) == 2 and widget.picture == 1 and widget.message == ""
    widget.close()


def test_plane_trains_stops_and_says_what_fails(sent, monkeypatch):
    widget = plane_widget("rings")
    handle_message(widget, {"type": "train", "data": "rings", "points": []}, [])
    widget.newest.wait()
    kinds = [content["type"] for content, _ in sent]
    assert kinds[0] == "training" and kinds[-2:] == ["weights", "training"] and sent[-1][0]["text"] == "Trained."
    assert widget.key == "rings" and widget.message == ""
    handle_message(widget, {"type": "train", "data": "drawn", "points": []}, [])
    assert widget.message == "The drawing is empty: put a point on it first."
    monkeypatch.setattr("t2i_learn.widgets.plane.network_message", lambda *_: 1 / 0)
    handle_message(widget, {"type": "ready"}, [])
    assert widget.message == "That did not work, ZeroDivisionError: division by zero."
    widget.close()


def test_a_drawing_has_the_pages_key(tmp_path):
    points = [[1, -0.5], [0.25, 2]]
    assert data_key("drawn", points) == "drawn " + in_node(tmp_path, PLANE, "JSON.stringify(points)", points=points)


@pytest.mark.parametrize("make", [lambda: forward_widget(), lambda: plane_widget("moons", PointDenoiser())], ids=["forward", "plane"])
def test_exported_page_is_whole_and_asks_no_one(tmp_path, make):
    widget = make()
    text = Path(widget.export_html(tmp_path / "page.html")).read_text(encoding="utf-8")
    assert "http" not in text.replace("http://www.w3.org/", "")
    assert text.count("</script>") == 1 and not re.search(r"^\s*import\b", text.split("<script")[1], re.MULTILINE)
    assert len(text) < 400_000
    state = widget_snapshot(widget)["state"]
    assert sum(len(str(value)) for value in state.values()) < 32_000, "traits hold little, pictures are messages"
    widget.close()


def test_a_committed_notebook_keeps_the_poster(item):
    widget = ForwardProcessWidget([item])
    bundle = widget._repr_mimebundle_()
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(bundle)
    widget.close()


@pytest.mark.parametrize("make", [lambda item: ForwardProcessWidget([item]), lambda item: PlaneDiffusionWidget()], ids=["forward", "plane"])
def test_two_hundred_leave_nothing_behind(item, make):
    check_nothing_is_left(lambda: make(item))
