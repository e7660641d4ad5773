"What a caption leaves open, and how much of it pictures keep."

from types import SimpleNamespace

import torch
from steady import seeded as dice
from tiny import tiny_gan

from t2i_learn.gan.diversity import DIVERSITY_FACTS, diversity_ratio, picture_diversity, scene_diversity
from t2i_learn.world.captions import scene_of
from t2i_learn.world.scenes import render


def test_freedom_of_known_scenes():
    scenes = [scene_of(DIVERSITY_FACTS[0], dice(k)) for k in range(40)]
    free = scene_diversity(scenes)
    assert free.place > 0.1 and free.size > 0.001 and free.background == 0, "all on white"
    assert scene_diversity(scenes[:1]) == scene_diversity([]) == (0.0, 0.0, 0.0)


def test_a_generator_of_two_places_keeps_some_freedom():
    true = [[scene_of(facts, dice(k)) for k in range(60)] for facts in DIVERSITY_FACTS]
    two = [torch.stack([render(scenes[k % 2]) for k in range(20)]) for scenes in true]
    all_of_them = [torch.stack([render(s) for s in scenes[:40]]) for scenes in true]
    assert 0.8 < diversity_ratio(all_of_them, true).place < 1.2
    assert 0 < diversity_ratio(two, true).place < diversity_ratio(all_of_them, true).place * 1.5


def test_pictures_that_break_their_caption_do_not_pass_for_variety():
    true = [[scene_of(facts, dice(k)) for k in range(60)] for facts in DIVERSITY_FACTS]
    swapped = [torch.stack([render(s) for s in scenes[:20]]) for scenes in true[1:] + true[:1]]
    assert (
        diversity_ratio(swapped, true).place > 0.7
        and max(diversity_ratio(swapped, true, DIVERSITY_FACTS)) == 0
    )
    once = [
        torch.cat([pictures, render(scenes[0])[None].expand(2, -1, -1, -1)])
        for pictures, scenes in zip(swapped, true)
    ]
    assert max(diversity_ratio(once, true, DIVERSITY_FACTS)) < 1e-6, "one right picture, twice"


def test_a_measure_is_the_same_each_time_and_leaves_the_global_stream_alone():
    learner = SimpleNamespace(model=tiny_gan().model)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first, second = (picture_diversity(2)(learner) for _ in range(2))
    assert first == second >= 0 and torch.equal(torch.rand(2), expected)
    assert picture_diversity(2, correct_only=True)(learner) == 0, "an untrained model keeps no caption"
