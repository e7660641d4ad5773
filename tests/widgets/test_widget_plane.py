"The plane widget without a browser: the page's arithmetic, by node, against torch; training, messages, sentences."

import pytest
import torch
from scripts import close_to, in_node
from traitlets import TraitError

from steady import seeded
from t2i_learn.diffusion.points import error_per_sigma, point_learner
from t2i_learn.diffusion.sampling import ddim_step, sample_loop
from t2i_learn.widgets.base import handle_message
from t2i_learn.widgets.plane import (
    data_key,
    heart_points,
    network_message,
    plane_mixture,
    plane_sigmas,
    plane_widget,
    PlaneDiffusionWidget,
)
from t2i_learn.world.points import clusters

PLANE = ("points", "plane")  # its scripts
DATA = ("moons", "clusters", "rings", "drawing")


@pytest.mark.parametrize("data", DATA)
def test_exact_fields_and_densities(tmp_path, data):
    at = 2 * torch.randn(30, 2, generator=seeded(3), dtype=torch.float64)
    sigmas = [0.05, 0.4, 2.0, 20.0]
    expression = "sigmas.map((s) => [denoiseExact(mixtureOf(data, drawn), at, s), logDensity(mixtureOf(data, drawn), at, s)])"
    found = in_node(
        tmp_path,
        PLANE,
        expression,
        sigmas=sigmas,
        data=data,
        drawn=heart_points(),
        at=at.flatten().tolist(),
    )
    points = plane_mixture(data, heart_points())
    for sigma, (field, logs) in zip(sigmas, found):
        assert close_to(field, points.denoise(at, sigma))
        assert close_to(logs, points.log_density(at, sigma))


def test_the_learned_field(tmp_path):
    model = point_learner(plane_mixture("moons")).fit(30).model.eval()
    content, (packed,) = network_message(model, "moons")
    at, sigmas = 2 * torch.randn(20, 2, generator=seeded(4)), [0.02, 0.3, 5.0]
    weights = torch.frombuffer(bytearray(packed), dtype=torch.float32).tolist()
    expression = (
        "sigmas.map((s) => denoiseLearned(unpackNetwork(content, Float64Array.from(weights)), at, s))"
    )
    found = in_node(
        tmp_path,
        PLANE,
        expression,
        sigmas=sigmas,
        content=content,
        weights=weights,
        at=at.flatten().tolist(),
    )
    for sigma, answer in zip(sigmas, found):
        assert close_to(answer, model.denoise(at, sigma))
    expression = (
        "fieldError(mixtureOf('moons'), unpackNetwork(content, Float64Array.from(weights)), 0.3, 3000)"
    )
    error = in_node(tmp_path, PLANE, expression, content=content, weights=weights)
    assert error == pytest.approx(
        float(error_per_sigma(model.denoise, plane_mixture("moons"), [0.3])[0]), rel=0.1
    )


@pytest.mark.parametrize("sampler", ["ddim", "flow"])
def test_ways_without_fresh_noise(tmp_path, sampler):
    expression = "trajectory((y, s) => denoiseExact(mixtureOf('clusters'), y, s), sampler, 9, 3, 40).map((s) => s.y)"
    found = in_node(tmp_path, PLANE, expression, sampler=sampler)
    sigmas = plane_sigmas(sampler, 9).double()
    grid = in_node(tmp_path, PLANE, "gridOf(sampler, 9)", sampler=sampler)
    assert close_to(grid, sigmas)
    start = torch.tensor(grid[0]) * torch.randn(40, 2, generator=seeded(3)).double()
    states = list(
        sample_loop(
            ddim_step, plane_mixture("clusters").denoise, start, torch.tensor(grid, dtype=torch.float64)
        )
    )
    for y, wanted in zip(found, [*(state.y for state in states), states[-1].x0_hat], strict=True):
        assert close_to(y, wanted)


def test_ddpm_ends_on_the_data(tmp_path):
    expression = (
        "trajectory((y, s) => denoiseExact(mixtureOf('clusters'), y, s), 'ddpm', 60, 3, 600).at(-1).y"
    )
    ends = torch.tensor(in_node(tmp_path, PLANE, expression)).reshape(-1, 2)
    nearest = torch.cdist(ends.double(), plane_mixture("clusters").means).min(1)
    assert nearest.values.square().mean().sqrt() == pytest.approx(2**0.5 * 0.12, rel=0.15)
    assert (nearest.indices.bincount(minlength=8) / 600 - 1 / 8).abs().max() < 0.06


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "flow"])
@pytest.mark.parametrize("data", ["rings", "drawing"])
def test_copied_code_runs(tmp_path, sampler, data):
    state = {
        "data": data,
        "field": "exact",
        "sampler": sampler,
        "steps": 6,
        "seed": 2,
        "points": heart_points(12),
    }
    expression = "[codeOf(state), trajectory((y, s) => denoiseExact(mixtureOf(state.data, state.points), y, s), state.sampler, 6, 2).at(-1).y]"
    code, ends = in_node(tmp_path, PLANE, expression, state=state)
    made = {}
    exec(code, made)
    assert made["ends"].shape == (150, 2)
    if sampler != "ddpm":
        apart = (torch.tensor(ends).reshape(-1, 2) - made["ends"]).norm(dim=1)
        assert apart.median() < 1e-4, "a particle between two points may fall to either side"


@pytest.mark.parametrize("train_steps", [0, 2])
def test_copied_code_of_a_learned_field_repeats_its_training(tmp_path, train_steps):
    state = {
        "data": "clusters",
        "field": "learned",
        "sampler": "ddim",
        "steps": 4,
        "seed": 2,
        "points": [],
        "train_steps": train_steps,
    }
    network = point_learner(clusters()).fit(2).model.eval()
    made = {"model": network}  # as for a network that was given
    exec(in_node(tmp_path, PLANE, "codeOf(state)", state=state), made)
    alike = {"denoise": network.denoise} | {name: made[name] for name in ("sigmas", "z")}
    assert torch.equal(
        made["ends"],
        list(sample_loop(ddim_step, alike["denoise"], alike["sigmas"][0] * alike["z"], alike["sigmas"]))[
            -1
        ].x0_hat,
    )


def test_plane_trains_stops_and_says_what_fails(sent, monkeypatch):
    widget = plane_widget("rings")
    handle_message(widget, {"type": "train", "data": "rings", "points": []}, [])
    widget.background.wait()
    kinds = [content["type"] for content, _ in sent]
    assert (
        kinds[0] == "training"
        and kinds[-2:] == ["weights", "training"]
        and sent[-1][0]["text"] == "Trained."
    )
    assert widget.key == "rings" and widget.message == ""
    handle_message(widget, {"type": "train", "data": "drawing", "points": []}, [])
    assert widget.message == "The drawing is empty: put a point on it first."
    monkeypatch.setattr("t2i_learn.widgets.plane.network_message", lambda *_: 1 / 0)
    handle_message(widget, {"type": "ready"}, [])
    assert widget.message == "That did not work, ZeroDivisionError: division by zero."
    widget.close()


def test_a_drawing_has_the_pages_key(tmp_path):
    points = [[1, -0.5], [0.25, 2]]
    assert data_key("drawing", points) == "drawing " + in_node(
        tmp_path, PLANE, "JSON.stringify(points)", points=points
    )


def test_traits_refuse_what_makes_no_sense():
    widget = PlaneDiffusionWidget()
    for name, value in [
        ("steps", 1),
        ("sampler", "heun"),
        ("data", "spiral"),
        ("points", [[0.0] * 3]),
        ("points", [[0.0, 0.0]] * 401),
    ]:
        with pytest.raises(TraitError):
            setattr(widget, name, value)
    widget.close()
