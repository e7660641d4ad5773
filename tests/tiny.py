"A model that is small and untrained, for tests of all that is not about how well it draws."

import torch

from t2i_learn.core.pipeline import Pipeline
from t2i_learn.core.tensors import seeded_rng
from t2i_learn.diffusion.text_to_image import DIFFUSION_MODEL_CONFIG, TextToImageDiffusion
from t2i_learn.gan.text_to_image import TextToImageGAN, scale_gan_config
from t2i_learn.language.captioner import Captioner, tiny_captioner_config
from t2i_learn.language.decoding import CaptionPipeline
from t2i_learn.stable.two_stage import TextToImageTwoStage, tiny_two_stage_config
from t2i_learn.world.scenes import COLORS, SHAPES

SMALL = {
    "text": {"width": 32, "depth": 1, "heads": 2},
    "layout": {"width": 32, "depth": 1},
    "unet": {"widths": [16, 32], "blocks": 1, "depth": 1, "heads": 2},
    "words": sorted([*SHAPES, *COLORS, "a", "two", "on", "background", "mint"]),
}


def shaken(model):
    "The model with a little added to each weight: layers that start at zero would make all pictures alike."
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return model


def tiny_pipeline(name="tiny", **changes):
    "A pipeline around a small model with random weights, always the same."
    with seeded_rng(0):
        return Pipeline(shaken(TextToImageDiffusion(DIFFUSION_MODEL_CONFIG | SMALL | changes)), name)


def tiny_folder(folder, **changes):
    "The same, saved; the folder."
    tiny_pipeline(**changes).save_pretrained(folder)
    return folder


def tiny_gan(name="tiny-gan"):
    "A pipeline around a small GAN with random weights, always the same."
    with seeded_rng(0):
        return Pipeline(
            TextToImageGAN(scale_gan_config(32) | {name: SMALL[name] for name in ("text", "words")}),
            name,
        )


def tiny_two_stage(name="tiny-stable"):
    "A pipeline around a small model of two stages with random weights, always the same."
    with seeded_rng(0):
        return Pipeline(
            shaken(TextToImageTwoStage(tiny_two_stage_config() | {"words": SMALL["words"]})), name
        )


def tiny_captioner(name="tiny-captioner"):
    "A pipeline around a small captioner with random weights, always the same."
    with seeded_rng(0):
        return CaptionPipeline(Captioner(tiny_captioner_config()), name)


TINY_MODELS = {"diffusion": tiny_pipeline, "gan": tiny_gan, "two-stage": tiny_two_stage}
