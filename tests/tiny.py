"A model that is small and untrained, for tests of all that is not about how well it draws."

from types import SimpleNamespace

import torch

from t2i_learn.core.pipeline import Pipeline
from t2i_learn.diffusion.text_to_image import CONFIG, TextToImage
from t2i_learn.gan.networks import Generator
from t2i_learn.world.scenes import COLORS, SHAPES

SMALL = {
    "text": {"width": 32, "depth": 1, "heads": 2},
    "plan": {"width": 32, "depth": 1},
    "unet": {"widths": [16, 32], "blocks": 1, "depth": 1, "heads": 2},
    "words": sorted([*SHAPES, *COLORS, "a", "two", "on", "background", "mint"]),
}


def tiny_pipeline(name="tiny", **changes):
    "A pipeline around a small model with random weights, always the same."
    torch.manual_seed(0)
    model = TextToImage(CONFIG | SMALL | changes)
    for parameter in model.parameters():  # layers that start at zero would make all pictures alike
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return Pipeline(model, name)


def tiny_painter():
    "A model that draws in one pass, untrained, always the same: a generator, and the encoder of the small pipeline."
    encode = tiny_pipeline().model.encode
    torch.manual_seed(0)
    generator = Generator(8, 32, (16, 16, 8, 8), heads=2, code=16)
    for parameter in generator.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return SimpleNamespace(generator=generator.eval(), encode=encode)


def tiny_folder(folder, **changes):
    "The same, saved; the folder."
    tiny_pipeline(**changes).save_pretrained(folder)
    return folder
