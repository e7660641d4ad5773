"Editions of the prompts: the first stays as it is; the others are made from their number, with scenes and noise seeds."

import hashlib
import json
import math
import runpy
from types import SimpleNamespace

import pyarrow
import pyarrow.parquet as parquet
import pytest
import torch
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT
from tiny import tiny_pipeline

from t2i_learn.world import captions, score
from t2i_learn.world.captions import (
    SPLIT_TASKS,
    in_validation,
    load_prompts,
    read_prompt_file,
    sample_example,
    scene_from_json,
    scene_to_json,
)
from t2i_learn.world.reader import read_scene
from t2i_learn.world.scenes import Scene, Thing, render
from t2i_learn.world.score import (
    TEST_SETS,
    check_spec,
    evaluate,
    evaluation_cost,
    reference_picture,
    sets_of_edition,
)
from t2i_learn.world.tasks import TASKS

EDITION_1 = {  # SHA-256 of data/prompts/*.parquet; never to be changed
    "validation": "8b0b7c188cfc8bd2e2c0c41302f01f32592b86b7f9e72f20e761c9dd8a6a1b51",
    "test": "f45d9c2fe033c89a9820861d72ef7e1fa1fe2be718fe0fc5646b12ec8e2b47a1",
    "a": "6c0d42bb9d9cd6ef2cb1c07e869d3c3d363fa4ccad823e12b4ab1d060f2179eb",
    "b": "9cc98782882acc33aa1ecde1a843e848b204a0688c27962bf9d7b27a729c7601",
    "c": "db6bcbe51b2bdb68812f200981fcc83a1770425fe4cdff806255abcf1c2c5934",
    "d": "383fd78736c49ef887f77e80e9e4d72e1ff39f1e5414ce3b7d1f0ebeae031136",
    "e": "383f5581591f5af64f3c078a0a56915385284ae28c2b8c112cfeebd89f4c8c96",
    "f": "c9e61187177d40ef9d8e3a3b2565a2b902559f3c9c6392ba3339b843698b8613",
}
LATER = (*sets_of_edition(2, validation=True), *sets_of_edition(2))
FREE = ("free", "g", "three", "h", "clauses")


@pytest.fixture(scope="module")
def script():
    return SimpleNamespace(**runpy.run_path(str(ROOT / "data" / "make_prompts.py")))


def make(script, out, edition, per_task=6):
    "Both halves of an edition, small."
    for validation in (False, True):
        script.main(edition, validation=validation, per_task=per_task, out=out)
    return out / f"edition-{edition}"


@pytest.fixture(scope="module")
def folder(script, tmp_path_factory):
    return make(script, tmp_path_factory.mktemp("prompts"), 2)


@pytest.fixture
def edition_2(folder, monkeypatch):
    "The small edition, where prompts are looked for."
    shipped = captions.data_path
    monkeypatch.setattr(
        captions, "data_path", lambda name: folder.parent if name == "prompts" else shipped(name)
    )


@pytest.mark.parametrize("name", EDITION_1)
def test_the_first_edition_stays_byte_for_byte(name):
    assert (
        hashlib.sha256((ROOT / "data" / "prompts" / f"{name}.parquet").read_bytes()).hexdigest()
        == EDITION_1[name]
    )
    assert {path.stem for path in (ROOT / "data" / "prompts").glob("*.parquet")} == {*EDITION_1}


def test_an_edition_is_made_from_its_number(script, folder, tmp_path):
    assert {path.stem for path in folder.iterdir()} == {*LATER} and "e" not in LATER
    again, other = make(script, tmp_path, 2), make(script, tmp_path, 3)
    for name in LATER:
        whole = (folder / f"{name}.parquet").read_bytes()
        assert (
            (again / f"{name}.parquet").read_bytes() == whole != (other / f"{name}.parquet").read_bytes()
        )
        ours, theirs = (read_prompt_file(path / f"{name}.parquet") for path in (folder, other))
        assert [p.task for p in ours] == [p.task for p in theirs] and not {
            p.noise_seed for p in ours
        } & {p.noise_seed for p in theirs}
        assert all(ours[k].scene != theirs[k].scene for k in range(len(ours)))


def test_rows_have_a_scene_and_a_noise_seed_instead_of_a_picture(folder):
    for name in LATER:
        table = parquet.read_table(folder / f"{name}.parquet")
        assert table.column_names == ["caption", "task", "split", "spec", "noise_seed", "scene"]
        assert all(0 <= seed < 2**48 for seed in table["noise_seed"].to_pylist())
    prompts = [p for name in LATER for p in read_prompt_file(folder / f"{name}.parquet")]
    assert len({p.noise_seed for p in prompts}) == len(prompts)
    assert all(p.picture == b"" and p.scene is not None for p in prompts)


@pytest.mark.parametrize("name", FREE)
def test_free_captions_come_once_and_validation_apart(script, folder, name):
    prompts = read_prompt_file(folder / f"{name}.parquet")
    counts = {task: sum(p.task == task for p in prompts) for task in script.FREE_SETS[name]}
    assert {p.split for p in prompts} == {name} and counts == dict.fromkeys(counts, 6)
    assert len({p.caption for p in prompts}) == len(prompts)
    assert {in_validation(p.caption) for p in prompts} == {name == "free"}
    things = {"three": {3}, "h": {4}, "g": {1, 2}}.get(name, {1, 2, 3, 4})
    assert {len(p.spec["include"]) for p in prompts} == things


def test_rules_and_splits_stay(folder):
    for name in set(LATER) - {*FREE}:
        prompts, split = read_prompt_file(folder / f"{name}.parquet"), name if len(name) == 1 else "seen"
        counts = {task: sum(p.task == task for p in prompts) for task in SPLIT_TASKS[split]}
        assert {p.split for p in prompts} == {split} and counts == dict.fromkeys(SPLIT_TASKS[split], 6)
        if split == "seen":
            assert {in_validation(p.caption) for p in prompts} == {name == "validation"}


@pytest.mark.parametrize("side", [32, 64])
def test_references_are_rendered_at_any_side(folder, side):
    for p in (p for name in LATER for p in read_prompt_file(folder / f"{name}.parquet")):
        picture = reference_picture(p, side)
        assert picture.shape == (3, side, side) and check_spec(p.spec, read_scene(picture)) == (
            True,
            "",
        ), p.caption
    assert reference_picture(p).shape == (3, 32, 32)


def test_captions_that_repeat_have_scenes_and_noises_of_their_own(script):
    rows = [row for row in script.rows("validation", 2, per_task=60) if row["task"] == "single"]
    (caption, times) = max(
        ((c, [r["caption"] for r in rows].count(c)) for c in {r["caption"] for r in rows}),
        key=lambda x: x[1],
    )
    same = [row for row in rows if row["caption"] == caption]
    assert times > 1 and len({row["noise_seed"] for row in same}) == times == len(
        {row["scene"] for row in same}
    )


def test_the_validation_set_is_larger_and_the_test_as_large_as_before(script):
    assert script.LATER_SETS["validation"] == ("seen", 300)
    assert {name: script.LATER_SETS[name] for name in sets_of_edition(2) if name not in FREE} == {
        name: script.SETS[name] for name in TEST_SETS if name != "e"
    }


@pytest.mark.parametrize("options", [{"validation": True}, {"per_task": 3}])
def test_the_first_edition_has_no_other_sizes(script, tmp_path, options):
    with pytest.raises(typer.BadParameter, match="edition 1 is fixed"):
        script.main(1, out=tmp_path, **{"validation": False, "per_task": None, **options})
    assert not [*tmp_path.iterdir()]


def test_an_edition_opens_with_datasets(folder, tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset(
        "parquet", data_files=str(folder / "test.parquet"), cache_dir=str(tmp_path), split="train"
    )
    assert (
        str(rows.features["noise_seed"].dtype) == "int64" and json.loads(rows[0]["scene"])["background"]
    )


def test_prompts_are_read_by_edition(folder, edition_2):
    assert load_prompts("test", 2, edition=2) == read_prompt_file(folder / "test.parquet", 2)
    assert (
        load_prompts("test", 2, edition=1) == load_prompts("test", 2)
        and load_prompts("test", 1)[0].scene is None
    )
    with pytest.raises(
        ValueError,
        match=r"edition 2 of the prompts has no set 'e' here \(there are: a, b, c, clauses, d, f, free, g, h, test, three, validation\)",
    ):
        load_prompts("e", edition=2)
    with pytest.raises(
        ValueError,
        match=r"\(there are: none\): data/make_prompts.py --edition 7 makes its test, with --validation",
    ):
        load_prompts("validation", edition=7)
    for wrong in (0, -1, 1.5):
        with pytest.raises(ValueError, match="edition must be a whole number, at least 1"):
            load_prompts("test", edition=wrong)


def test_edition_1_has_pictures_of_one_side():
    (prompt,) = load_prompts("b", 1)
    assert torch.equal(reference_picture(prompt, 32), reference_picture(prompt))
    with pytest.raises(
        ValueError, match="a picture of 32 pixels, and no scene that could be rendered at 64"
    ):
        reference_picture(prompt, 64)


@given(st.sampled_from([t for t in TASKS if t != "three"]), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_a_scene_comes_back_from_its_text(task, seed):
    scene = sample_example(task, generator=torch.Generator().manual_seed(seed)).scene
    again = scene_from_json(scene_to_json(scene))
    assert again == scene and torch.equal(render(again), render(scene))


THING = {
    "shape": "heart",
    "color": "red",
    "x": 0.5,
    "y": 0.5,
    "radius": 0.1,
    "size": "small",
    "texture": "solid",
    "angle": 0.0,
    "tint": [0, 0, 0],
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": "hart"},
        {"color": "teal"},
        {"texture": "dotted"},
        {"x": math.nan},
        {"radius": math.inf},
        {"tint": [0, 0]},
        {"tint": None},
        {"x": "left"},
        {"weight": 3},
    ],
)
def test_a_scene_of_another_world_is_refused(wrong, tmp_path):
    assert scene_from_json(json.dumps({"things": [THING], "background": "mint"})) == Scene(
        (Thing("heart", "red", 0.5, 0.5, 0.1, "small"),), "mint"
    )
    text = json.dumps({"things": [THING | wrong], "background": "mint"})
    with pytest.raises((KeyError, TypeError, ValueError)):
        scene_from_json(text)
    row = {
        "caption": "a",
        "task": "single",
        "split": "seen",
        "spec": "{}",
        "noise_seed": 1,
        "scene": text,
    }
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "odd.parquet")
    with pytest.raises(ValueError, match="is not a readable prompt set"):
        read_prompt_file(tmp_path / "odd.parquet")
    with pytest.raises(ValueError, match="there is no teal background"):
        scene_from_json(json.dumps({"things": [], "background": "teal"}))


class Painter:
    "Stands where a pipeline stands, and keeps how it was called."

    name = "painter"
    model = SimpleNamespace(config={})

    def __init__(self):
        self.calls = []

    def request(self, prompt, **call):
        return SimpleNamespace(settings=SimpleNamespace(as_dict=dict))

    def __call__(self, captions, **call):
        self.calls.append(call)
        return SimpleNamespace(
            images=torch.ones(call.get("num_images_per_prompt", len(captions)), 3, 32, 32)
        )


@pytest.fixture
def painter(monkeypatch):
    monkeypatch.setattr(score, "family_of", lambda config: SimpleNamespace(kind="text-to-image"))
    return Painter()


@pytest.mark.parametrize("seed", [0, 5])
def test_the_first_edition_is_drawn_from_the_numbers_of_its_prompts(painter, seed):
    report = evaluate(painter, 7, ("validation",), seed=seed)
    assert painter.calls == [
        {"output_type": "pt", "truncation": True, "seed": seed, "first": first} for first in (0, 50)
    ]
    assert report["edition"] == 1


@pytest.mark.parametrize("seed", [0, 5])
def test_each_prompt_of_a_later_edition_is_drawn_from_its_own_noise(painter, edition_2, seed):
    sets = ("test", "b")
    report = evaluate(painter, 6, sets, edition=2, seed=seed)
    expected = [p.noise_seed + seed for name in sets for p in load_prompts(name, 6, 2)]
    assert [one for call in painter.calls for one in call["seed"]] == expected and len(
        painter.calls
    ) == 2
    assert all(call.keys() == {"output_type", "truncation", "seed"} for call in painter.calls)
    assert report["edition"] == 2 and report["held_out"].keys() == {"b"}
    count, seconds = evaluation_cost(painter, 6, sets, edition=2)
    assert count == len(expected) and seconds > 0


def test_validation_is_what_is_scored_in_any_edition(painter, edition_2):
    evaluate(painter, 2, edition=2)
    assert painter.calls[0]["seed"] == [p.noise_seed for p in load_prompts("validation", 2, 2)]


@pytest.mark.filterwarnings("ignore:no caption in training held")
def test_a_prompt_s_picture_is_that_of_its_seed_alone(edition_2, monkeypatch):
    "Whatever stands beside it in the batch."
    pipe, drawn = tiny_pipeline(), []
    monkeypatch.setattr(score, "read_scene", lambda picture: drawn.append(picture) or Scene(()))
    monkeypatch.setattr(score, "chance_rates", lambda prompts: {})
    evaluate(pipe, 1, ("d", "b"), edition=2, num_inference_steps=1)
    for prompt, picture in zip([*load_prompts("d", 1, 2), *load_prompts("b", 1, 2)], drawn, strict=True):
        alone = pipe(
            prompt.caption, seed=prompt.noise_seed, num_inference_steps=1, output_type="pt"
        ).images[0]
        assert (alone - picture).abs().max() <= 2 / 255


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"things":[],"background":"white","x":NaN}',
        '{"things":[],"background":1e999}',
        json.dumps({"things": [THING | {"x": 10**400}], "background": "white"}),
        json.dumps({"things": [THING | {"radius": 0}], "background": "white"}),
        json.dumps({"things": [THING | {"size": [1]}, 7], "background": "white"}),
        json.dumps({"things": {}, "background": []}),
        json.dumps([1]),
        "null",
        "7",
        '"red heart"',
        "{}",
        "",
        "\x00",
    ],
    ids=lambda text: text[:40],
)
def test_a_text_that_is_no_scene_is_a_sentence(text):
    with pytest.raises(ValueError) as met:
        scene_from_json(text)
    assert len(str(met.value)) < 300 and str(met.value).isprintable()
