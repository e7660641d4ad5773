"Words and masks: alignment of prompts, attention that is put back, masks that are found, and what `pipe.edit` says."

from threading import Thread

import pytest
import torch
from tiny import tiny_gan, tiny_pipeline, tiny_two_stage
from test_image_to_image import CALL, NEW, OLD, tiny_dit

from t2i_learn.diffusion.sampling import SAMPLERS, get_step
from t2i_learn.editing import prompt_to_prompt
from t2i_learn.editing.image_to_image import (
    EDIT_METHODS,
    edit_recorded,
    inputs_for,
    record_noise,
    replay_noise,
)
from t2i_learn.editing.prompt_to_prompt import (
    Alignment,
    MaskedGuidance,
    align_prompts,
    attention_layers,
    control_attention,
    difference_map,
    edit_difference,
    edit_grounded,
    edit_words,
    find_mask,
    find_things,
    ground_mask,
    inject_attention,
    keep_path,
    record_attention,
    scale_map,
    take_columns,
    word_map,
    word_tokens,
)

FOUND = {"words": edit_words, "diffedit": edit_difference, "ledits": edit_grounded}
PAIRS = ((OLD, NEW), ("a red circle and a blue star", "a star"))


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


@pytest.fixture(scope="module")
def picture():
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def request_of(pipe, prompts=(NEW,), **more):
    return pipe.request(list(prompts), seed=[3 + k for k in range(len(prompts))], **CALL | more)


def run(change, pipe, picture, old=(OLD,), new=(NEW,), strength=0.75, request=None, **options):
    many = picture.expand(len(new), -1, -1, -1)
    return change(pipe, many, request or request_of(pipe, new), list(old), strength, **options)


def strings(tokenizer, prompt):
    return tokenizer([prompt])[0][0].tolist()


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_partners_of_unchanged_tokens_are_the_same_tokens(old, new, pipe):
    tokenizer = pipe.model.tokenizer
    pair = align_prompts(tokenizer, [old], [new])
    before, after = strings(tokenizer, old), strings(tokenizer, new)
    for place, source in enumerate(pair.source[0].tolist()):
        if not pair.is_new[0, place]:
            assert before[source] == after[place]
    kept = [token for token, gone in zip(before, pair.is_gone[0]) if not gone]
    assert kept == [token for token, fresh in zip(after, pair.is_new[0]) if not fresh]


def test_prompts_of_a_batch_are_aligned_each_by_itself(pipe):
    tokenizer = pipe.model.tokenizer
    old, new = zip(*PAIRS)
    both = align_prompts(tokenizer, old, new)
    for row, (a, b) in enumerate(PAIRS):
        alone = align_prompts(tokenizer, [a], [b])
        length = alone.source.shape[1]
        assert torch.equal(both.source[row, :length], alone.source[0])
        assert torch.equal(both.is_new[row, :length], alone.is_new[0])
        assert not both.is_new[row, length:].any(), "padding says nothing new"
        assert not both.is_gone[row, alone.is_gone.shape[1] :].any()


def test_attention_of_another_thread_stays_as_it_is(pipe, picture):
    layers = attention_layers(pipe.model)
    cond = pipe.model.encode([OLD])
    with torch.no_grad():
        plain = pipe.model(picture, torch.tensor(1.0), cond)
        found = []

        def elsewhere():
            with torch.no_grad():
                found.append(pipe.model(picture, torch.tensor(1.0), cond))

        with control_attention(layers, torch.zeros_like):
            thread = Thread(target=elsewhere)
            thread.start()
            thread.join()
            here = pipe.model(picture, torch.tensor(1.0), cond)
    assert torch.equal(found[0], plain) and not torch.equal(here, plain)


def test_hooks_go_when_something_fails(pipe):
    layers = attention_layers(pipe.model)
    with pytest.raises(RuntimeError, match="broken"), record_attention(layers):
        raise RuntimeError("broken")
    assert not any(layer._forward_hooks for layer in layers)


def test_rows_of_recorded_attention_sum_to_one_and_injection_leaves_the_unguided_half(pipe, picture):
    layers = attention_layers(pipe.model)
    cond = pipe.model.encode([OLD])
    twice = type(cond).cat([cond, cond])
    level = torch.ones(2, 1, 1, 1)
    with torch.no_grad():
        with record_attention(layers) as kept:
            plain = pipe.model(picture, level[:1], cond)
        with inject_attention(layers, kept, lambda old, new: 0 * old):
            changed = pipe.model(picture.expand(2, -1, -1, -1), level, twice)
    assert len(kept) == len(layers)
    assert all(torch.allclose(w.sum(-1), torch.ones(()), atol=1e-5) for w in kept)
    assert torch.allclose(changed[1:], plain, atol=1e-5) and not torch.allclose(
        changed[:1], plain, atol=1e-4
    )


def test_columns_come_from_partners_and_padding_keeps_its_own():
    old = torch.arange(6.0).view(1, 1, 2, 3)
    new = -torch.ones(1, 1, 2, 4)
    mixed = take_columns(old, new, torch.tensor([[2, -1, 0]]))
    assert mixed[0, 0].tolist() == [[2, -1, 0, -1], [5, -1, 3, -1]]


@pytest.mark.parametrize("sampler", ["ddpm", "heun", "dpmpp_2m_sde"])
def test_without_injection_words_are_recorded_maps(sampler, pipe, picture):
    assert SAMPLERS[sampler].calls in (1, 2)
    request = request_of(pipe, sampler=sampler)
    plain = run(edit_recorded, pipe, picture, request=request)
    free = run(edit_words, pipe, picture, request=request, cross_share=0.0)
    held = run(edit_words, pipe, picture, request=request, cross_share=1.0, self_share=1.0)
    assert torch.allclose(free, plain, atol=1e-4)
    assert not torch.allclose(held, plain, atol=1e-3)


@pytest.mark.parametrize("change", FOUND.values())
def test_the_same_prompt_without_guidance_gives_the_picture_back(change, pipe, picture):
    request = request_of(pipe, (OLD,), guidance_scale=1.0)
    back = run(change, pipe, picture, (OLD,), (OLD,), request=request)
    assert torch.allclose(back, picture, atol=1e-4)


@pytest.mark.parametrize("change", FOUND.values())
def test_edits_do_not_depend_on_the_batch(change, pipe, picture):
    old, new = zip(*PAIRS)
    both = run(change, pipe, picture, old, new)
    alone = run(change, pipe, picture, old[:1], new[:1])
    assert torch.allclose(both[:1], alone, atol=1e-4)


def test_a_factor_changes_the_picture_and_a_word_that_is_missing_is_named(pipe, picture):
    plain = run(edit_words, pipe, picture, cross_share=1.0)
    weighed = run(edit_words, pipe, picture, cross_share=1.0, factors={"blue": 5.0})
    assert not torch.allclose(plain, weighed, atol=1e-4)
    with pytest.raises(ValueError, match="no word 'red'"):
        run(edit_words, pipe, picture, factors={"red": 2.0})


def test_a_word_is_found_as_the_prompt_is_read(pipe):
    tokenizer = pipe.model.tokenizer
    assert torch.equal(word_tokens(tokenizer, OLD, "Red"), word_tokens(tokenizer, OLD, "red"))
    with pytest.raises(ValueError, match=r"\\x1b"):
        word_tokens(tokenizer, "a \x1b[2Jcircle", "star")


@pytest.mark.filterwarnings("ignore:the prompt is")
@pytest.mark.parametrize("change", [edit_words, edit_grounded])
def test_a_long_prompt_is_read_to_its_limit_where_that_is_asked_for(change, pipe, picture):
    full = NEW + " red" * pipe.model.tokenizer.max_length
    room = pipe.model.tokenizer.max_length - 2
    cut = pipe.model.tokenizer.decode(pipe.model.tokenizer.encode(f" {full}")[:room])
    requests = [request_of(pipe, (text,), truncation=True) for text in (full, cut)]
    more = {"factors": {"red": 3.0}} if change is edit_words else {}
    long, short = (run(change, pipe, picture, request=request, **more) for request in requests)
    assert torch.equal(long, short)


def test_tokens_of_all_words_cover_a_prompt_once(pipe):
    tokenizer = pipe.model.tokenizer
    prompt = "a red circle"
    chosen = torch.stack([word_tokens(tokenizer, prompt, word) for word in prompt.split()])
    assert chosen.sum(0).tolist() == [0, *[1] * (chosen.shape[1] - 2), 0]
    assert chosen.shape[1] == len(strings(tokenizer, prompt))


def test_a_map_of_all_tokens_is_one_everywhere():
    weights = [torch.rand(2, 3, 16, 5).softmax(-1) for _ in range(2)]
    assert torch.allclose(
        word_map(weights, torch.ones(2, 5, dtype=torch.bool), 8), torch.ones(()), atol=1e-5
    )
    assert not word_map(weights, torch.zeros(2, 3, dtype=torch.bool), 8).any()


def test_differences_are_found_where_predictions_differ(pipe, picture):
    request = request_of(pipe)
    old, new = (inputs_for(pipe, request, prompts, 1.0) for prompts in ([OLD], None))
    left = torch.zeros(1, 1, 32, 32)
    left[..., :16] = 1.0
    shifted = new._replace(denoiser=lambda y, sigma, cond: old.denoiser(y, sigma, old.cond) + left)
    found = difference_map(old, shifted, picture, count=2)
    assert found.max() == 1 and torch.equal(find_mask(found, 0.5, 0), left > 0)
    assert find_mask(found, 0.5, 2).sum() == 18 * 32, "two columns wider"


def test_a_map_is_cut_far_above_its_mean_and_smooth():
    values = torch.ones(1, 1, 16, 16)
    values[0, 0, 8, 8] = 1000.0
    scaled = scale_map(values)
    assert scaled.max() == 1 and scaled.min() > 0.05, "one value does not hide all others"
    assert not scale_map(torch.zeros(1, 1, 4, 4)).any()


def test_outside_of_a_found_mask_nothing_changes(pipe, picture):
    request = request_of(pipe)
    old, new = (inputs_for(pipe, request, prompts, 1.0) for prompts in ([OLD], None))
    differences = difference_map(old, new, picture, count=2)
    threshold = float(differences.flatten().quantile(0.99))
    mask = find_mask(differences, threshold)
    for redraw in (False, True):
        changed = run(edit_difference, pipe, picture, threshold=threshold, count=2, redraw=redraw)
        assert torch.equal(changed * ~mask, picture * ~mask) and not torch.equal(changed, picture)


@pytest.fixture
def things_at_left(monkeypatch):
    "Weights that were never trained find things everywhere; here they stand at the left."
    left = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    left[..., :16] = True
    monkeypatch.setattr(prompt_to_prompt, "find_things", lambda *_, **__: left)


@pytest.mark.parametrize("method", ["diffedit", "ledits", "words", "sdedit"])
def test_an_edit_says_which_mask_its_method_has_chosen(method, pipe, picture, things_at_left):
    call = {"seed": 3, "output_type": "pt", "source_prompt": OLD, "num_inference_steps": 4}
    output = pipe.edit(picture[0], NEW, method=method, **call)
    if method in ("words", "sdedit"):
        assert output.mask is None
        return
    assert output.mask.shape == (1, 1, 32, 32) and output.mask.dtype == torch.bool and output.mask.any()
    if method == "diffedit":
        gap = (output.images - picture).abs() * ~output.mask
        assert gap.max() < 1.01 / 127.5, "outside of its mask the picture stays"
    assert "mask" not in output.settings and pipe(NEW, seed=1, num_inference_steps=2).mask is None


def test_a_mask_is_found_for_each_picture(pipe, picture, things_at_left):
    for change in (edit_difference, edit_grounded):
        masks = []
        many = run(change, pipe, picture, [OLD, OLD], [NEW, OLD], masks=masks)
        assert torch.equal(many, run(change, pipe, picture, [OLD, OLD], [NEW, OLD])), "the same edit"
        assert masks[0].shape == (2, 1, 32, 32) and masks[0][0].any()
        assert not masks[0][1].any(), "the same prompt: there is nothing to change"


def test_outside_of_a_mask_the_network_sees_the_recorded_path(pipe, picture):
    request = request_of(pipe)
    old, new = inputs_for(pipe, request, [OLD], 1.0), inputs_for(pipe, request)
    step, left = get_step("dpmpp_2m_sde"), torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    left[..., :16] = True
    maps = record_noise(step, old, picture, 1.0)
    states = list(replay_noise(keep_path(step, picture, left, maps, old.noise), new, maps))
    for state in states:
        path = picture + state.sigma * old.noise.like(picture, state.step)
        assert torch.allclose((state.y - path) * ~left, torch.zeros(()), atol=1e-4)
    assert not torch.allclose(states[-1].y * left, path * left, atol=1e-3)


def test_a_mask_of_nearly_everything_gives_way_to_the_complement_of_the_things(
    pipe, picture, monkeypatch
):
    left = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    left[..., :16] = True
    monkeypatch.setattr(prompt_to_prompt, "find_things", lambda *_, **__: left)
    changed = run(edit_difference, pipe, picture, threshold=0.0, count=1)
    assert torch.equal(changed[..., :14], picture[..., :14]), (
        "things stay, but for a margin of two pixels"
    )
    assert not torch.equal(changed[..., 16:], picture[..., 16:])


def test_the_empty_prompt_names_no_things(pipe, picture):
    request = request_of(pipe)
    for text, some in (("", False), (OLD, True)):
        old = inputs_for(pipe, request, [text], 1.0)
        assert bool(find_things(pipe, old, picture, request, count=1).any()) is some


def test_guidance_is_between_the_prompts_where_the_mask_is(pipe, picture):
    old, new = pipe.model.encode([OLD]), pipe.model.encode([NEW])
    half = torch.zeros(1, 1, 32, 32)
    half[..., :16] = 1.0
    guided = MaskedGuidance(pipe.model, old, new, lambda gap: half, 1.0)
    level = torch.tensor(1.0)
    with torch.no_grad():
        found = guided(picture, level)
        expected = torch.where(
            half > 0, pipe.model(picture, level, new), pipe.model(picture, level, old)
        )
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_place_has_to_pass_both_masks():
    gap = torch.zeros(1, 3, 32, 32)
    gap[..., :16] = 1.0  # the left half differs
    weights = torch.zeros(2, 1, 64, 2)
    weights[:, :, :32, 1] = 1.0  # the upper half reads the changed word
    changed = torch.tensor([[False, True]])
    pair = Alignment(torch.zeros(1, 2).long(), changed, changed)
    both = ground_mask(gap, [weights], pair, 0.5)[0, 0] > 0
    assert both[2, 2] and not both[2, 29] and not both[29, 2] and not both[29, 29]
    differs = ground_mask(gap, [], pair, 0.5)[0, 0] > 0
    assert differs[29, 2] and not differs[2, 29], "without cross-attention the difference decides"


@pytest.mark.parametrize("method", FOUND)
@pytest.mark.parametrize("make", [tiny_pipeline, tiny_dit, tiny_two_stage])
def test_every_family_knows_the_methods(method, make, picture):
    pipe = make()
    call = CALL | {"seed": 1, "source_prompt": OLD, "output_type": "pt"}
    if method == "words" and not attention_layers(pipe.model):
        with pytest.raises(ValueError, match="no layers in which a picture reads a prompt"):
            pipe.edit(picture[0], NEW, method=method, **call)
        return
    changed = pipe.edit(picture[0], NEW, method=method, **call)
    assert changed.images.shape == (1, 3, 32, 32) and changed.images.isfinite().all()
    assert changed.settings["edit"] == method


def test_a_generator_says_that_it_has_no_levels(picture):
    for method in FOUND:
        with pytest.raises(ValueError, match="without noise levels"):
            tiny_gan().edit(picture[0], NEW, method=method, source_prompt=OLD, seed=1)


def test_unknown_methods_are_answered_by_those_that_there_are(pipe, picture):
    with pytest.raises(ValueError, match="diffedit"):
        pipe.edit(picture[0], NEW, method="magic", seed=1)
    assert {*FOUND} < {*EDIT_METHODS}
