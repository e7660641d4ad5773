"Views of a picture, denoisers that join several prompts, and what is drawn with them."

import pytest
import torch
from tiny import TINY_MODELS, tiny_pipeline

from t2i_learn.editing.anagrams import (
    VIEWS,
    AlternatingDenoiser,
    FactorizedDenoiser,
    View,
    ViewsDenoiser,
    blur_components,
    check_view,
    draw_anagram,
    draw_hybrid,
    keeps_shape,
    possible_pairs,
    read_in_views,
    view_matrix,
)
from t2i_learn.world.scenes import SHAPES, Scene, Thing, render

UPRIGHT, TURNED = VIEWS["upright"], VIEWS["half-turn"]
CALL = {"seed": 5, "num_inference_steps": 3, "guidance_scale": 2.0}
pytestmark = pytest.mark.filterwarnings("ignore:no caption in training held")


def picture(*things):
    return render(Scene(tuple(Thing(shape, "blue", x, y, 0.17) for shape, x, y in things)))


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_undone_and_its_matrix_is_orthogonal(name):
    view, x = VIEWS[name], torch.randn(2, 3, 6, 6)
    matrix = view_matrix(view, (1, 6, 6))
    assert torch.equal(view.undo(view.apply(x)), x)
    assert torch.equal(matrix @ matrix.T, torch.eye(36, dtype=torch.float64))
    assert torch.allclose(matrix.float() @ x[0, 0].flatten(), view.apply(x)[0, 0].flatten())
    check_view(view, (3, 6, 6))


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (View(lambda x: x / 2, lambda x: 2 * x), "not orthogonal"),
        (View(lambda x: x**3, lambda x: x.sign() * x.abs() ** (1 / 3)), "not linear"),
        (View(lambda x: x + 1, lambda x: x - 1), "not linear"),
        (View(VIEWS["quarter-turn"].apply, VIEWS["quarter-turn"].apply), "not undone"),
        (View(lambda x: x[..., 1:], lambda x: x), "not undone"),
        (
            View(lambda x: x * torch.tensor([2.0, 0.5]), lambda x: x * torch.tensor([0.5, 2.0])),
            "not orth",
        ),
    ],
)
def test_what_changes_noise_is_refused(view, reason):
    with pytest.raises(ValueError, match=reason):
        check_view(view, (3, 2, 2))


def test_shapes_that_stay_the_same_leave_fifteen_pairs():
    fixed = {shape for shape in SHAPES if keeps_shape(shape, TURNED)}
    assert fixed == {"circle", "square", "diamond", "cross"}
    pairs = possible_pairs(TURNED)
    assert len(pairs) == 15 and not any(fixed.issuperset(pair) for pair in pairs)
    assert possible_pairs(VIEWS["flip"]) == pairs and possible_pairs(VIEWS["mirror"]) == []


def test_a_picture_is_read_in_each_view():
    x, looks = picture(("heart", 0.5, 0.3)), [UPRIGHT.apply, TURNED.apply]
    assert read_in_views(x, ["a heart", "a heart"], looks) == [True, False]
    assert read_in_views(TURNED.apply(x), ["a heart", "a blue heart"], looks) == [False, True]
    two = picture(("circle", 0.5, 0.25), ("square", 0.5, 0.75))
    assert (
        read_in_views(two, ["a circle above a square", "a square above a circle"], looks) == [True] * 2
    )
    assert read_in_views(two, ["a circle above a square"] * 2, looks) == [True, False]
    with pytest.raises(ValueError, match="outside the grammar"):
        read_in_views(x, ["a heart", "a duck or a rabbit"], looks)


def test_views_and_prompts_of_another_number_are_an_error(pipe):
    with pytest.raises(ValueError, match="a prompt and a weight of its own: 3 prompts, 2 views"):
        draw_anagram(pipe, ["a heart"] * 3)
    with pytest.raises(ValueError, match="a weight of its own"):
        draw_anagram(pipe, ["a heart"] * 2, weights=[1.0])
    with pytest.raises(ValueError, match="method"):
        draw_anagram(pipe, ["a heart"] * 2, method="both")
    with pytest.raises(ValueError, match="not orthogonal"):
        draw_anagram(pipe, ["a heart"], [View(lambda x: x / 2, lambda x: 2 * x)])


def test_a_generator_has_no_steps_to_join():
    with pytest.raises(ValueError, match="take a diffusion model"):
        draw_anagram(TINY_MODELS["gan"](), ["a heart"] * 2)


def test_a_model_of_two_stages_begins_with_a_draft():
    with pytest.raises(ValueError, match="take a diffusion model"):
        draw_anagram(TINY_MODELS["two-stage"](), ["a heart"] * 2)


@pytest.mark.parametrize("method", ["average", "alternate"])
def test_the_upright_view_alone_draws_what_the_pipeline_draws(pipe, method):
    own = pipe("a red heart", num_images_per_prompt=2, output_type="pt", **CALL).images
    drawn = draw_anagram(pipe, ["a red heart"], [UPRIGHT], 2, method, **CALL)
    assert torch.equal(drawn, own)


def test_the_order_of_views_does_not_matter_and_the_second_prompt_does(pipe):
    one = draw_anagram(pipe, ["a red heart", "a circle"], [UPRIGHT, TURNED], 2, **CALL)
    other = draw_anagram(pipe, ["a circle", "a red heart"], [TURNED, UPRIGHT], 2, **CALL)
    assert torch.allclose(one, other, atol=1e-4)
    third = draw_anagram(pipe, ["a red heart", "a star"], [UPRIGHT, TURNED], 2, **CALL)
    assert not torch.allclose(one, third, atol=1e-4)


def test_a_mean_of_views_is_taken_upright():
    "A denoiser that paints its condition at the upper left, whatever it sees."

    def corner(y, sigma, cond):
        x = torch.zeros_like(y)
        x[..., 0, 0] = cond
        return x

    y, sigma = torch.zeros(1, 3, 4, 4), torch.ones(1, 1, 1, 1)
    mean = ViewsDenoiser(corner, [UPRIGHT, TURNED])(y, sigma, [2.0, 6.0])
    assert mean[0, 0, 0, 0] == 1 and mean[0, 0, -1, -1] == 3 and mean.sum() == 12
    weighted = ViewsDenoiser(corner, [UPRIGHT, TURNED], (0.25, 0.75))(y, sigma, [2.0, 6.0])
    assert weighted[0, 0, 0, 0] == 0.5 and weighted[0, 0, -1, -1] == 4.5
    alternating = AlternatingDenoiser(corner, [UPRIGHT, TURNED], torch.tensor([4.0, 2.0, 1.0, 0.0]))
    found = [alternating(y, level * sigma, [2.0, 6.0]) for level in (4.0, 2.0, 1.0)]
    assert [float(x[0, 0, 0, 0]) for x in found] == [2, 0, 2] and found[1][0, 0, -1, -1] == 6


def test_components_add_up_and_follow_a_prompt_each():
    low, high = blur_components(1.5)
    x = torch.randn(2, 3, 16, 16)
    assert torch.allclose(low(x) + high(x), x, atol=1e-6)
    assert torch.allclose(low(x)[0], low(x[0])) and low(x).std() < 0.5 * x.std()
    flat = torch.ones(1, 3, 16, 16)
    denoiser = FactorizedDenoiser(lambda y, sigma, cond: cond * flat + y, (low, high))
    assert torch.allclose(denoiser(0 * flat, torch.ones(1), [2.0, 7.0]), 2 * flat, atol=1e-5), (
        "a level is coarse: only the first prompt sets it"
    )


def test_a_hybrid_of_one_prompt_is_a_picture_of_it(pipe):
    own = pipe("a red heart", num_images_per_prompt=2, output_type="pt", **CALL).images
    assert torch.allclose(
        draw_hybrid(pipe, "a red heart", "a red heart", 1.5, 2, **CALL), own, atol=1e-4
    )
    other = draw_hybrid(pipe, "a red heart", "two circle", 1.5, 2, **CALL)
    assert not torch.allclose(other, own, atol=1e-4)
