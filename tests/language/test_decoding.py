"Decoding: searches beside brute force, draws beside probabilities, and the pipeline of a captioner."

import math
import subprocess
import sys
from itertools import product

import pytest
import torch
from places import ROOT, offline

from t2i_learn.core.pipeline import load
from t2i_learn.core.settings import families
from t2i_learn.core.show import to_image
from t2i_learn.core.tensors import Noise, seeded_rng
from t2i_learn.language.captioner import Captioner, tiny_captioner_config
from t2i_learn.language.contrastive import fit_whole_picture
from t2i_learn.language.decoding import (
    CaptionPipeline,
    beam_search,
    caption_confidence,
    decode_captions,
    greedy_search,
    sample_search,
    word_attention,
)

END = 0  # of the toy's words


class Toy:
    "Words 0 to 3 with probabilities that depend on all words before; a text is ended by 0, or by its length."

    def __init__(self, seed, length=4):
        self.length = length
        self.table = {}
        generator = torch.Generator().manual_seed(seed)
        for n in range(length):
            for words in product(range(4), repeat=n):
                self.table[words] = torch.randn(4, generator=generator).log_softmax(0)

    def advance(self, tokens, state):
        state = torch.cat([state, tokens[:, None]], 1)
        return torch.stack([self.table[tuple(row[1:].tolist())] for row in state]), state

    def start(self):
        return torch.zeros(1, 0, dtype=torch.long), torch.tensor([-1])

    def best(self):
        "The likeliest of all texts, by trying them."
        found = {}
        for words in product(range(4), repeat=self.length):
            cut = words.index(END) + 1 if END in words else self.length
            text = words[:cut]
            found[text] = sum(self.table[text[:k]][text[k]].item() for k in range(cut))
        return max(found, key=found.get), max(found.values())


@pytest.mark.parametrize("seed", range(12))
def test_a_beam_of_all_beginnings_is_exhaustive_and_one_of_width_one_is_greedy(seed):
    toy = Toy(seed)
    words, score = toy.best()
    found = beam_search(toy.advance, *toy.start(), 4**3, END, 4)[0]
    assert found.tokens == words and found.log_prob == pytest.approx(score, abs=1e-5)
    (greedy,) = greedy_search(toy.advance, *toy.start(), END, 4)
    assert beam_search(toy.advance, *toy.start(), 1, END, 4)[0].tokens == greedy.tokens
    assert greedy.log_prob <= score + 1e-6


def test_a_narrow_beam_misses_the_best_text_somewhere():
    missed = [
        seed
        for seed in range(40)
        if beam_search(Toy(seed).advance, *Toy(seed).start(), 2, END, 4)[0].tokens != Toy(seed).best()[0]
    ]
    assert 0 < len(missed) < 40


def test_texts_of_a_beam_are_in_order_and_end_once():
    found = beam_search(Toy(3).advance, *Toy(3).start(), 8, END, 4)
    scores = [text.log_prob for text in found]
    assert scores == sorted(scores, reverse=True) and len({text.tokens for text in found}) == len(found)
    assert all(END not in text.tokens[:-1] and len(text.tokens) == len(text.log_probs) for text in found)


def test_rows_of_a_batch_end_by_themselves():
    toy = Toy(1)
    state, first = toy.start()
    texts = sample_search(toy.advance, state[[0] * 200], first[[0] * 200], Noise(0), 1.0, END, 4)
    assert {len(text.tokens) for text in texts} == {1, 2, 3, 4}
    for text in texts:
        assert text.log_prob == pytest.approx(
            sum(toy.table[text.tokens[:k]][t].item() for k, t in enumerate(text.tokens)), abs=1e-5
        )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_words_are_drawn_as_often_as_they_should(temperature):
    toy = Toy(2)
    state, first = toy.start()
    texts = sample_search(
        toy.advance, state[[0] * 5000], first[[0] * 5000], Noise(5), temperature, -1, 1
    )
    shares = torch.bincount(torch.tensor([text.tokens[0] for text in texts]), minlength=4) / 5000
    wanted = (toy.table[()] / temperature).softmax(0)
    assert (shares - wanted).abs().max() < 4 * 0.5 / 5000**0.5


@pytest.fixture(scope="module")
def pipe():
    "A pipeline around a small captioner with random weights."
    with seeded_rng(0):
        return CaptionPipeline(Captioner(tiny_captioner_config()), "tiny")


@pytest.fixture(scope="module")
def pictures():
    return 2 * torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) - 1


def test_a_saved_captioner_describes_as_before(pipe, pictures, tmp_path):
    pipe.save_pretrained(tmp_path / "mine")
    again = load(tmp_path / "mine", "cpu")
    assert isinstance(again, CaptionPipeline) and again.model.config == pipe.model.config
    assert again.describe(pictures) == pipe.describe(pictures)


def test_every_form_of_a_picture_gives_the_same_caption(pipe, pictures, tmp_path):
    image = to_image(pictures[0])
    image.save(tmp_path / "x.png")
    data = (tmp_path / "x.png").read_bytes()
    forms = [image, tmp_path / "x.png", str(tmp_path / "x.png"), data, image.convert("RGBA")]
    captions = {found.caption for found in pipe.describe(forms)}
    assert len(captions) == 1
    assert pipe.describe([]) == []


def test_unsure_captions_are_named_in_a_warning(pipe, pictures):
    with pytest.warns(UserWarning, match="not sure of this caption"):
        assert isinstance(pipe(pictures[0]), str)
    with pytest.warns(UserWarning, match="not sure of the captions of 3 pictures"):
        assert len(pipe(pictures)) == 3
    sure = CaptionPipeline(pipe.model, "sure")
    sure.model.config = pipe.model.config | {"calibration": {"slope": 0.0, "shift": 9.0}}
    assert sure.describe(pictures[0])[0].confidence > 0.99


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"style": "long"}, "no style 'long'"),
        ({"num_beams": 0}, "num_beams must be"),
        ({"temperature": -1}, "temperature must be"),
        ({"num_beams": 2, "temperature": 0.5}, "set num_beams to 1"),
        ({"guidance_scale": 3}, "no setting 'guidance_scale'"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_calls_that_make_no_sense(pipe, pictures, call, said):
    pipe.model.config = tiny_captioner_config()
    with pytest.raises(ValueError, match=said):
        pipe.describe(pictures[0], **call)


@pytest.mark.parametrize(
    "wrong", [torch.zeros(3, 0, 4), torch.zeros(2, 8, 8), torch.zeros(3, 8, 8).int()]
)
def test_what_is_no_picture(wrong):
    with pytest.raises(ValueError, match=r"a picture is a tensor \(3, H, W\)"):
        fit_whole_picture(wrong, 32)


def test_draws_belong_to_pictures(pipe, pictures):
    together = pipe.describe(pictures, temperature=1.0, seed=4)
    assert together == pipe.describe(pictures, temperature=1.0, seed=4)
    (alone,) = pipe.describe(pictures[:1], temperature=1.0, seed=4)
    assert alone.caption == together[0].caption
    assert together != pipe.describe(pictures, temperature=1.0, seed=5)


def test_a_wider_picture_is_seen_whole(pictures):
    wide = torch.cat([pictures[0], pictures[1]], 2)
    fitted = fit_whole_picture(wide, 32)
    assert torch.allclose(
        fitted[:, 8:24, :16], torch.nn.functional.avg_pool2d(pictures[0], 2), atol=1e-6
    )
    above, below = fitted[:, :8], fitted[:, 24:]
    assert (above == above[:, :1, :1]).all() and torch.equal(above, below), "one colour around it"


def test_a_captioner_does_not_draw(pipe):
    with pytest.raises(ValueError, match="image-to-text: it does not draw"):
        pipe.request("a red heart")
    assert families()["captioner"].kind == "image-to-text"


def test_confidence_is_monotone_and_between_zero_and_one():
    logs = torch.tensor([-1e4, -50.0, -1.0, -1e-3, 0.0])
    found = caption_confidence(logs, 0.7, 0.3)
    assert (found.diff() >= 0).all() and found[0] >= 0 and found[-1] <= 1
    assert caption_confidence([math.log(0.25)])[0] == pytest.approx(0.25)


def test_attention_of_each_word_over_the_picture(pipe, pictures):
    words, maps = word_attention(pipe.model, pictures[0], "a red circle and a star")
    assert words == ["a", "red", "circle", "and", "a", "star", "[EOS]"]
    assert maps.shape == (7, 8, 8) and torch.allclose(maps.sum((1, 2)), torch.ones(7), atol=1e-5)


def test_beams_of_a_captioner_are_those_of_each_picture(pipe, pictures):
    together = decode_captions(pipe.model, pictures, num_beams=3)
    assert [decode_captions(pipe.model, p[None], num_beams=3)[0].tokens for p in pictures] == [
        text.tokens for text in together
    ]


def test_the_oracle_does_not_help(pipe, pictures, tmp_path):
    "In a new process: a picture is described, and what reads and judges pictures is not imported."
    pipe.save_pretrained(tmp_path / "mine")
    to_image(pictures[0]).save(tmp_path / "x.png")
    code = (
        "import sys, t2i_learn; "
        f"t2i_learn.load({str(tmp_path / 'mine')!r}, 'cpu').describe({str(tmp_path / 'x.png')!r}); "
        "print([m for m in ('reader', 'score', 'grammar') if f't2i_learn.world.{m}' in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=offline(ROOT), capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[]", done.stderr
