"Swaps of parts of a condition: pairs that differ in one fact, what is drawn, and how it is counted."

import json
from types import SimpleNamespace

import pytest
import swaps as tool
import torch
from tiny import TINY_MODELS
from typer.testing import CliRunner

from t2i_learn.gan.text_to_image import TextToImageGAN
from t2i_learn.text.encoder import Condition
from t2i_learn.world.captions import in_validation
from t2i_learn.world.grammar import parse_prompt
from t2i_learn.world.scenes import Scene, Thing, render

pytestmark = pytest.mark.filterwarnings("ignore:no caption in training held")


@pytest.mark.parametrize("kind", tool.KINDS)
def test_the_captions_of_a_pair_differ_in_one_fact_and_were_left_to_validation(kind):
    pairs = tool.make_pairs(kind, 12)
    assert len({pair.caption for pair in pairs}) == 12 and pairs[:5] == tool.make_pairs(kind, 5)
    for pair in pairs:
        assert in_validation(pair.caption) and in_validation(pair.other)
        claims = [
            {**spec, **spec["include"][0], "include": spec["include"][1:]}
            for spec in (pair.spec, pair.other_spec)
        ]
        named = {"background": "bg"}.get(kind, kind)
        assert [name for name in claims[0] if claims[0][name] != claims[1][name]] == [named]
        assert parse_prompt(pair.caption) != parse_prompt(pair.other)


@pytest.fixture(scope="module", params=TINY_MODELS)
def pipe(request):
    return TINY_MODELS[request.param]()


@torch.no_grad()
def test_to_swap_everything_is_to_draw_the_other_caption(pipe):
    pairs = tool.make_pairs("color", 4)
    assert tool.parts_of(pipe) == list(tool.PARTS)
    own, other = (
        pipe(list(captions), seed=0, first=5, output_type="pt").images
        for captions in zip(*(pair[:2] for pair in pairs))
    )
    drawn = {part: tool.draw(pipe, pairs, part, 5) for part in tool.PARTS}
    assert torch.equal(drawn["everything"], other) and torch.equal(drawn["nothing"], own)
    for part in ("words", "pooled", "layout"):
        assert not torch.equal(drawn[part], own) and not torch.equal(drawn[part], other), (
            f"{part} reaches the picture"
        )
    assert torch.equal(
        pipe([pair.caption for pair in pairs], seed=0, first=5, output_type="pt").images, own
    )


@torch.no_grad()
def test_the_style_of_a_generator_has_the_pooled_vector_alone_from_the_caption():
    model = TINY_MODELS["gan"]().model
    assert isinstance(model, TextToImageGAN)
    own, other = model.encode("a red heart"), model.encode("a blue heart")
    styles = []
    for mapping in model.generator.mapping:
        mapping.register_forward_hook(lambda module, given, style: styles.append(style))
    swapped = {part: tool.swap_part(own, other, part) for part in tool.PARTS}
    z = torch.zeros(1, model.generator.noise)
    made = {}
    for part, cond in swapped.items():
        styles.clear()
        model(z, cond)
        made[part] = torch.cat(styles)
    assert torch.equal(made["nothing"], made["words"]) and torch.equal(made["nothing"], made["layout"])
    assert torch.equal(made["pooled"], made["everything"]) and not torch.equal(
        made["pooled"], made["nothing"]
    )


class Reader:
    "Draws rightly what one part of a condition says, or always the same."

    name = "reader"

    def __init__(self, part):
        self.part, self.captions = part, []
        self.model = SimpleNamespace(encode=self.encode, config={"sampling": {}})

    def encode(self, captions, truncation=False):
        self.captions += captions
        number = torch.tensor([[float(self.captions.index(caption))] for caption in captions])
        return Condition(number[:, None], number[:, None, 0] >= 0, number, number[..., None, None])

    def __call__(self, captions, seed, first, output_type):
        cond = self.model.encode(captions)
        numbers = (
            [0] * len(captions)
            if self.part is None
            else getattr(cond, self.part).flatten().int().tolist()
        )
        return SimpleNamespace(
            images=torch.stack([self.picture(self.captions[number]) for number in numbers])
        )

    def picture(self, caption):
        (item,) = parse_prompt(caption)["include"]
        thing = Thing(
            item["shape"], item["color"], 0.5, 0.5, 0.25, "large", item.get("texture", "solid")
        )
        return render(Scene((thing,), parse_prompt(caption).get("bg", "white")), 32)


@pytest.fixture
def pairs(monkeypatch):
    "Pairs about one thing, which differ in its color."
    made = [pair for pair in tool.make_pairs("color", 60) if len(pair.spec["include"]) == 1]
    made = [
        pair
        for pair in made
        if pair.spec["include"][0]["count"] == 1 and "size" not in pair.spec["include"][0]
    ]
    monkeypatch.setattr(tool, "make_pairs", lambda kind, count: made[:count])
    return made[:7]


@pytest.mark.parametrize(
    ("reads", "follows"),
    [
        ("context", {"words", "everything"}),
        ("pooled", {"pooled", "everything"}),
        ("layout", {"layout", "everything"}),
    ],
)
def test_a_model_follows_what_it_reads(reads, follows, pairs, tmp_path):
    swaps = tool.Swaps(tmp_path / "swaps.json", Reader(reads), "0")
    for part in tool.PARTS:
        swaps.run("color", part, pairs)
    for part, row in swaps.content["table"]["color"].items():
        assert (
            row["n"] == 7
            and row["follows"][0] == (part in follows)
            and row["stays"][0] == (part not in follows)
        )


def test_a_model_whose_condition_is_ignored_follows_nothing(pairs, tmp_path):
    reader = Reader(None)
    reader.captions.append(pairs[0].caption)
    swaps = tool.Swaps(tmp_path / "swaps.json", reader, "0")
    for part in tool.PARTS:
        swaps.run("color", part, pairs)
    verdicts = swaps.content["verdicts"]["color"]
    assert set(verdicts.values()) == {"s------"}, "its one picture is right for the first caption"


def test_a_file_goes_on_where_it_stopped_and_belongs_to_its_weights(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "BATCH", 3)
    drawn = []
    draw = tool.draw
    monkeypatch.setattr(
        tool,
        "draw",
        lambda pipe, pairs, part, first: drawn.append(first) or draw(pipe, pairs, part, first),
    )
    go = lambda weights, count: tool.Swaps(tmp_path / "swaps.json", Reader("context"), weights).run(
        "color", "words", pairs[:count]
    )
    go("0", 5)
    go("0", 5)
    assert drawn == [0, 3]
    go("0", 7)
    go("0", 2)
    assert drawn == [0, 3, 5]
    content = json.loads((tmp_path / "swaps.json").read_text())
    assert content["verdicts"]["color"]["words"] == 7 * "f" and len(content["pairs"]["color"]) == 7
    go("1", 2)
    content = json.loads((tmp_path / "swaps.json").read_text())
    assert content["verdicts"]["color"]["words"] == 2 * "f" and content["weights"] == "1"


def test_all_kinds_together_count_every_pair_once():
    table = tool.summary({"color": {"nothing": "ssf-", "words": "ffff"}, "shape": {"nothing": "ssss"}})
    assert table["all"]["nothing"] == {"n": 8, "follows": [0.125, 0.141], "stays": [0.75, 0.162]}
    assert table["all"]["words"]["n"] == 4 and "layout" not in table["all"]
    assert "| shape | 4 | 0.00 ± 0.19 |  |" in tool.show_table(table, "follows")


def test_the_command_writes_a_table_beside_the_weights_and_prints_it(tmp_path, monkeypatch):
    (tmp_path / "tiny-gan").mkdir()
    (tmp_path / "tiny-gan" / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(tool, "weights_path", lambda: tmp_path)
    monkeypatch.setattr(tool, "models", lambda kind: {"tiny-gan": {}})
    monkeypatch.setattr(tool, "load", lambda name: TINY_MODELS["gan"]())
    go = lambda *options: (
        CliRunner().invoke(tool.app, ["--prompts", "1", *options], catch_exceptions=False).stdout
    )
    printed = go()
    content = json.loads((tmp_path / "tiny-gan" / "swaps.json").read_text())
    assert set(content["table"]) == {*tool.KINDS, "all"} and content["table"]["all"]["layout"][
        "n"
    ] == len(tool.KINDS)
    monkeypatch.setattr(tool, "load", lambda name: pytest.fail("nothing is to be drawn"))
    assert "| background | 1 |" in printed and go("--table") == printed
