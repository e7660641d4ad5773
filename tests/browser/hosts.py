"What the browser tests open: one notebook with every widget and form, in JupyterLab and in Voilà, and a page of each widget."

from typing import NamedTuple


class Hosted(NamedTuple):
    "A widget in a cell."

    label: str  # of the section that the page calls it
    cell: str  # what makes it, and leaves it in the variable of its name


WIDGETS = {
    "forward": Hosted(
        "Forward process",
        "from t2i_learn.widgets.forward import forward_widget as make\nforward = make(compare='linear')\nforward",
    ),
    "plane": Hosted(
        "Diffusion in the plane",
        "from t2i_learn.widgets.plane import plane_widget as make\nplane = make()\nplane",
    ),
    "reverse": Hosted(
        "The reverse process",
        "from t2i_learn import load\nfrom t2i_learn.widgets.reverse import reverse_widget as make\npipe = load('shapes-diffusion')\n"
        "reverse = make(pipe, num_inference_steps=6, seed=3)\nreverse",
    ),
    "guidance": Hosted(
        "Guidance",
        "from t2i_learn.widgets.guidance import guidance_widget as make\nguidance = make(pipe, scales=(1.0, 4.0), num_inference_steps=3)\nguidance",
    ),
    "attention": Hosted(
        "Attention",
        "from t2i_learn.widgets.attention import attention_widget as make\nattention = make(pipe, num_inference_steps=3)\nattention",
    ),
    "gan_lab": Hosted(
        "GAN lab",
        "from t2i_learn.widgets.gan_lab import gan_lab as make\ngan_lab = make()\ngan_lab",
    ),
    "latent_walk": Hosted(
        "Latent walk",
        "from types import SimpleNamespace\nimport torch\nfrom t2i_learn.gan.networks import Generator\n"
        "from t2i_learn.widgets.latent_walk import latent_walk as make\ntorch.manual_seed(0)\n"
        "painter = SimpleNamespace(generator=Generator(8, 128, (16, 16, 8, 8), style=16), encode=pipe.model.encode)\n"
        "latent_walk = make(painter, ('a red circle', 'a blue square', 'a star'), (1, 2, 3))\nlatent_walk",
    ),
    "stable_forward": Hosted(
        "Forward process with stable noise",
        "from t2i_learn.widgets.stable_forward import stable_forward_widget as make\nstable_forward = make()\nstable_forward",
    ),
    "stable_distribution": Hosted(
        "Stable laws",
        "from t2i_learn.widgets.stable_distribution import stable_distribution_widget as make\nstable_distribution = make()\nstable_distribution",
    ),
    "learned_schedule": Hosted(
        "Learned coefficient",
        "from t2i_learn.widgets.learned_schedule import schedule_lab as make\nlearned_schedule = make(total=12, every=2)\nlearned_schedule",
    ),
    "two_stage": Hosted(
        "Two stages",
        "from t2i_learn.widgets.two_stage import two_stage_widget as make\n"
        "two_stage = make(load('shapes-stable'), levels=(0.5, 1.5, 6.0), num_inference_steps=3)\ntwo_stage",
    ),
    "editor": Hosted(
        "Editor",
        "from t2i_learn.widgets.editor import edit_widget as make\neditor = make(pipe, num_inference_steps=3)\neditor",
    ),
    "describe": Hosted(
        "Words from a picture",
        "from t2i_learn.core.tensors import seeded_rng\nfrom t2i_learn.language.captioner import Captioner, tiny_captioner_config\n"
        "from t2i_learn.language.decoding import CaptionPipeline\nfrom t2i_learn.widgets.describe import describe_widget as make\n"
        "with seeded_rng(0):\n    writer = CaptionPipeline(Captioner(tiny_captioner_config()), 'tiny')\n"
        "describe = make(writer, pipe=pipe, num_inference_steps=3)\ndescribe",
    ),
}
# In the notebook of JupyterLab, after the widgets, some are shown again.
AGAIN = ("forward", "stable_forward", "stable_distribution", "learned_schedule", "two_stage")
FORMS = {
    "prompt_box": "from t2i_learn.widgets.prompt_box import prompt_box\n"
    "box = prompt_box(prompt='a red heart', num_inference_steps=3, num_images_per_prompt=1)\nbox",
    "explorer": "from t2i_learn.widgets.explorer import SceneExplorer\ndesk = SceneExplorer()\ndesk",
}
