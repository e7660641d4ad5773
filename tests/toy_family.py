"A family of models in twenty lines, as somebody else's package would bring it."

from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import torch
from torch import nn

from t2i_learn.core.settings import Settings, setting
from t2i_learn.core.tensors import Noise


@dataclass(frozen=True)
class ToySettings(Settings):
    "What the toy can be asked for."

    negative_prompts: ClassVar[bool] = False
    warmth: float = setting("how red the picture is", low=0, high=1)


class Toy(nn.Module):
    "One colour a picture: a noise, and as much red as is asked for."

    def __init__(self, config, tokenizer):
        super().__init__()
        self.config, self.tokenizer, self.gain = config, tokenizer, nn.Parameter(torch.ones(()))

    def trajectory(self, request):
        colors = (
            self.gain
            * Noise(request.seed, request.first).normal((len(request.prompts), 3, 1, 1), 0).tanh()
        )
        colors[:, 0] = 2 * request.settings.warmth - 1
        yield SimpleNamespace(
            step=0, picture=colors.expand(-1, -1, self.config["side"], self.config["side"])
        )


CONFIG = {"family": "toy", "side": 8, "sampling": {"warmth": 0.5}}
