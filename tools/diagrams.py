"""Draw the diagrams of the course as SVG: boxes on a grid, and arrows between them.

python tools/diagrams.py           write nbs/images/diagrams/*.svg
python tools/diagrams.py --check   say which of them is not what this script draws

A diagram stands on a white sheet of its own, so that it reads the same in a dark theme. What it shows stands in words in
DIAGRAMS beside it, as the alternative text that a page must use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from t2i_learn.core.files import write_atomic

FOLDER = Path(__file__).resolve().parent.parent / "nbs" / "images" / "diagrams"
COLUMN, ROW, MARGIN = 150.0, 78.0, 18.0  # of the grid, in pixels
HEIGHT, LETTER, PADDING, LINE = 40.0, 7.4, 22.0, 17.0  # of boxes and their text, in pixels
FILLS = {  # kind of box -> fill, border
    "data": ("#ffffff", "#555555"),
    "net": ("#d6e9f5", "#0072b2"),
    "loss": ("#fdebcf", "#c46a00"),
    "noise": ("#eeeeee", "#777777"),
}


@dataclass(frozen=True)
class Box:
    "What stands at a place of the grid; lines of its text are apart by a line break."

    x: float  # columns, to the right
    y: float  # rows, downwards
    text: str
    kind: str = "data"  # a key of FILLS

    @property
    def center(self) -> tuple[float, float]:
        return self.x * COLUMN, self.y * ROW

    @property
    def half(self) -> tuple[float, float]:  # half of its width and height
        lines = self.text.split("\n")
        width = PADDING + LETTER * max(map(len, lines))
        return width / 2, (HEIGHT + LINE * (len(lines) - 1)) / 2


@dataclass(frozen=True)
class Arrow:
    "From one box to another, straight or by way of other places."

    start: str
    end: str
    label: str = ""
    dashed: bool = False
    via: tuple[tuple[float, float], ...] = ()  # places of the grid


@dataclass(frozen=True)
class Diagram:
    "Boxes by name, and arrows between them."

    alt: str  # what it shows, for those who cannot see it
    boxes: dict[str, Box]
    arrows: list[Arrow] = field(default_factory=list)


def chain(*names: str, dashed: bool = False) -> list[Arrow]:
    "Arrows from each box to the next."
    return [Arrow(a, b, dashed=dashed) for a, b in pairwise(names)]


def border_point(
    box: Box,
    toward: tuple[float, float],  # pixels
) -> tuple[float, float]:  # pixels
    "Where the line from the middle of a box to a place leaves the box."
    (x, y), (w, h) = box.center, box.half
    dx = toward[0] - x
    dy = toward[1] - y
    scale = min(w / abs(dx) if dx else 1e9, h / abs(dy) if dy else 1e9)
    return x + scale * dx, y + scale * dy


def arrow_svg(arrow: Arrow, boxes: dict[str, Box]) -> str:
    "A line with a head, and its label on the middle of the longest part."
    start, end = boxes[arrow.start], boxes[arrow.end]
    inner = [(x * COLUMN, y * ROW) for x, y in arrow.via]
    first = border_point(start, inner[0] if inner else end.center)
    last = border_point(end, inner[-1] if inner else start.center)
    points = [first, *inner, last]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="5 4"' if arrow.dashed else ""
    line = f'<polyline points="{path}" fill="none" stroke="#444444" stroke-width="1.5"{dash} marker-end="url(#head)"/>'
    if not arrow.label:
        return line
    (ax, ay), (bx, by) = max(
        pairwise(points), key=lambda p: abs(p[0][0] - p[1][0]) + abs(p[0][1] - p[1][1])
    )
    x, y = (ax + bx) / 2, (ay + by) / 2
    return line + text_svg(
        arrow.label, x, y - 5 if abs(bx - ax) > abs(by - ay) else y, size=12, halo=True
    )


def text_svg(text: str, x: float, y: float, size: int = 13, halo: bool = False) -> str:
    "Lines of text around a place."
    lines = text.split("\n")
    style = ' stroke="#ffffff" stroke-width="4" paint-order="stroke"' if halo else ""
    top = y - LINE * (len(lines) - 1) / 2
    return "".join(
        f'<text x="{x:.1f}" y="{top + LINE * k:.1f}" font-size="{size}" text-anchor="middle" '
        f'dominant-baseline="central" fill="#222222"{style}>{escape(line)}</text>'
        for k, line in enumerate(lines)
    )


def box_svg(box: Box) -> str:
    "A rectangle and its text."
    (x, y), (w, h) = box.center, box.half
    fill, border = FILLS[box.kind]
    return (
        f'<rect x="{x - w:.1f}" y="{y - h:.1f}" width="{2 * w:.1f}" height="{2 * h:.1f}" rx="7" '
        f'fill="{fill}" stroke="{border}" stroke-width="1.5"/>{text_svg(box.text, x, y)}'
    )


def svg(diagram: Diagram) -> str:
    "The diagram as a file of its own."
    boxes = diagram.boxes.values()
    inner = [(x * COLUMN, y * ROW) for arrow in diagram.arrows for x, y in arrow.via]
    xs = [box.center[0] + sign * box.half[0] for box in boxes for sign in (-1, 1)] + [
        x for x, _ in inner
    ]
    ys = [box.center[1] + sign * box.half[1] for box in boxes for sign in (-1, 1)] + [
        y for _, y in inner
    ]
    left, top = min(xs) - MARGIN, min(ys) - MARGIN
    width, height = max(xs) + MARGIN - left, max(ys) + MARGIN - top
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="Helvetica, Arial, sans-serif">',
        f"<title>{escape(diagram.alt)}</title>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0,0.5 L8,4 L0,7.5 z" fill="#444444"/></marker></defs>',
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="10" fill="#ffffff"/>',
        *(arrow_svg(arrow, diagram.boxes) for arrow in diagram.arrows),
        *map(box_svg, boxes),
        "</svg>\n",
    ]
    return "\n".join(parts)


DIAGRAMS = {
    "course": Diagram(
        "The course: your first model leads to the world and to text; text leads to the GAN and to diffusion; "
        "diffusion leads to stable diffusion; widgets and the tools can be read at any time.",
        {
            "first": Box(0, 1, "Your first\nmodel", "net"),
            "world": Box(1.1, 1, "1 · World\npictures, captions,\nexact scores"),
            "text": Box(2.4, 1, "2 · Text\nwords to numbers"),
            "gan": Box(3.7, 0, "3 · GAN\none pass"),
            "diffusion": Box(3.7, 1, "4 · Diffusion\nmany steps"),
            "stable": Box(5, 1, "5 · Stable diffusion\nother noise"),
            "widgets": Box(1.1, 2.2, "Widgets", "noise"),
            "tools": Box(2.4, 2.2, "How the tools work", "noise"),
        },
        [
            *chain("first", "world", "text", "diffusion", "stable"),
            Arrow("text", "gan", via=((2.4, 0),)),
            Arrow("gan", "stable", via=((5, 0),)),
        ],
    ),
    "first-model": Diagram(
        "The network of the first model: words pass the text encoder, t passes a small network; their sum sets factors and "
        "offsets (FiLM) in blocks at 16, 8 and 16 pixels; a skip connection joins the two outer groups.",
        {
            "words": Box(0, 0, "words"),
            "encoder": Box(1.15, 0, "text encoder", "net"),
            "t": Box(0, 1, "t"),
            "time": Box(1.15, 1, "small network", "net"),
            "plus": Box(2.3, 0.5, "+", "net"),
            "x": Box(0, 2.3, "noisy picture\n3 × 32 × 32"),
            "down": Box(1.15, 2.3, "2 blocks\n16 × 16", "net"),
            "middle": Box(2.3, 2.3, "3 blocks\n8 × 8", "net"),
            "up": Box(3.45, 2.3, "2 blocks\n16 × 16", "net"),
            "out": Box(4.6, 2.3, "velocity\n3 × 32 × 32"),
        },
        [
            *chain("words", "encoder", "plus"),
            *chain("t", "time", "plus"),
            *chain("x", "down", "middle", "up", "out"),
            Arrow("plus", "down", dashed=True),
            Arrow("plus", "middle", "FiLM", dashed=True),
            Arrow("plus", "up", dashed=True),
            Arrow("down", "up", "skip connection", via=((1.15, 3.2), (3.45, 3.2))),
        ],
    ),
    "world": Diagram(
        "Facts are drawn first; from them come a scene and its caption. The scene is rendered as a picture. To score a "
        "generated picture, the reader reads a scene from it, the grammar reads claims from the prompt, and the two are compared.",
        {
            "facts": Box(0, 0.5, "random facts"),
            "scene": Box(1.2, 0, "scene"),
            "caption": Box(1.2, 1, "caption"),
            "picture": Box(2.4, 0, "picture"),
            "model": Box(3.6, 1, "model", "net"),
            "drawn": Box(4.8, 1, "generated\npicture"),
            "reader": Box(4.8, 2.1, "reader", "net"),
            "grammar": Box(1.2, 2.1, "grammar", "net"),
            "check": Box(3, 2.1, "compare\nclause by clause", "loss"),
        },
        [
            *chain("facts", "scene", "picture", "model", "drawn", "reader", "check"),
            *chain("facts", "caption", "model"),
            *chain("caption", "grammar", "check"),
        ],
    ),
    "text-encoder": Diagram(
        "Text to condition: the tokenizer cuts text into tokens; embeddings and positions go through transformer blocks; the "
        "output is one vector a word, the context, and one for the whole caption, the pooled vector. The planner's places "
        "attend to the words and give the layout.",
        {
            "text": Box(0, 0.5, "caption"),
            "tokens": Box(1, 0.5, "tokens"),
            "embed": Box(2.15, 0.5, "embeddings\n+ positions", "net"),
            "blocks": Box(3.45, 0.5, "transformer\nblocks", "net"),
            "context": Box(4.75, 0, "context\na vector a token"),
            "pooled": Box(4.75, 1, "pooled\none vector"),
            "planner": Box(6.1, 0.5, "planner: places\nattend to words", "net"),
            "layout": Box(7.4, 0.5, "layout\n8 × 8 places"),
        },
        [
            *chain("text", "tokens", "embed", "blocks", "context", "planner", "layout"),
            *chain("blocks", "pooled", "planner"),
        ],
    ),
    "gan": Diagram(
        "A GAN with two losses: noise and caption enter the generator, which draws a picture. The discriminator compares it "
        "with the true picture of the caption and gives the adversarial loss. A noise encoder finds noise for the true "
        "picture, and the generator's picture from it is compared with the true one: the supervised loss.",
        {
            "noise": Box(0, 0, "noise z", "noise"),
            "caption": Box(0, 1.1, "caption"),
            "text": Box(1.1, 1.1, "text encoder", "net"),
            "generator": Box(2.4, 0.4, "generator", "net"),
            "fake": Box(3.6, 0.4, "picture"),
            "disc": Box(5, 0.4, "discriminator", "net"),
            "adv": Box(6.5, 0.4, "adversarial loss\nno true pair needed", "loss"),
            "true": Box(3.6, 2, "true picture"),
            "encoder": Box(1.1, 2, "noise encoder", "net"),
            "sup": Box(5, 1.35, "supervised loss", "loss"),
        },
        [
            *chain("noise", "generator", "fake", "disc", "adv"),
            *chain("caption", "text", "generator"),
            Arrow("true", "disc", via=((6.2, 2), (6.2, 1.35))),
            Arrow("true", "encoder"),
            Arrow("encoder", "generator", dashed=True),
            Arrow("fake", "sup"),
            Arrow("true", "sup"),
        ],
    ),
    "diffusion": Diagram(
        "Training: a picture and noise of level sigma are added; the denoiser sees the sum, the level and the condition, and "
        "predicts the picture; the error is the loss. Sampling: start from noise, predict the picture, go down one level, repeat.",
        {
            "x0": Box(0, 0, "picture x0"),
            "z": Box(0, 0.9, "noise z", "noise"),
            "y": Box(1.3, 0.45, "y = x0 + σ z"),
            "den": Box(2.6, 0.45, "denoiser", "net"),
            "hat": Box(3.8, 0.45, "predicted\npicture"),
            "loss": Box(5, 0.45, "squared error", "loss"),
            "cond": Box(2.6, 1.55, "level σ, condition"),
            "start": Box(0, 2.7, "y = σ z", "noise"),
            "den2": Box(1.3, 2.7, "denoiser", "net"),
            "hat2": Box(2.6, 2.7, "predicted\npicture"),
            "step": Box(3.9, 2.7, "one step to\na lower level", "net"),
            "end": Box(5.2, 2.7, "picture"),
        },
        [
            *chain("x0", "y", "den", "hat", "loss"),
            Arrow("z", "y"),
            Arrow("x0", "loss", "compare", via=((0, -0.7), (5, -0.7))),
            Arrow("cond", "den"),
            *chain("start", "den2", "hat2", "step"),
            Arrow("step", "end", "at σ = 0"),
            Arrow("step", "den2", "repeat", via=((3.9, 3.6), (1.3, 3.6))),
            Arrow("cond", "den2", dashed=True),
        ],
    ),
    "unet": Diagram(
        "The U-Net: 2 by 2 pixels become channels. Residual blocks follow at half size. The middle, at a quarter of the size, "
        "is a transformer whose places attend to each other and to the words, and which reads the layout. Residual blocks at "
        "half size, joined by skip connections, lead back to pixels. The level and the pooled vector scale and shift every block.",
        {
            "y": Box(0, 1, "noisy picture\n3 × 32 × 32"),
            "down": Box(1.3, 1, "residual blocks\n16 × 16", "net"),
            "middle": Box(2.75, 1, "transformer\n8 × 8", "net"),
            "up": Box(4.15, 1, "residual blocks\n16 × 16", "net"),
            "out": Box(5.45, 1, "output\n3 × 32 × 32"),
            "emb": Box(0.6, 0, "level + pooled vector"),
            "words": Box(2.35, 2.1, "words"),
            "layout": Box(3.15, 2.1, "layout"),
        },
        [
            *chain("y", "down", "middle", "up", "out"),
            Arrow("emb", "down", dashed=True),
            Arrow("emb", "middle", dashed=True),
            Arrow("emb", "up", "scale and shift", dashed=True, via=((4.15, 0),)),
            Arrow("words", "middle"),
            Arrow("layout", "middle"),
            Arrow("down", "up", "skip connections", via=((1.3, 2.9), (4.15, 2.9))),
        ],
    ),
    "dit": Diagram(
        "The diffusion transformer: the noisy picture is cut into patches, each a token; words are tokens too; all go through "
        "the same attention blocks, scaled, shifted and gated by the level; the tokens of patches become patches again.",
        {
            "y": Box(0, 0, "noisy picture"),
            "patches": Box(1.2, 0, "64 patches\nas tokens"),
            "words": Box(1.2, 1, "words\nas tokens"),
            "blocks": Box(2.6, 0.5, "joint attention\nblocks", "net"),
            "level": Box(2.6, 1.7, "level + pooled vector"),
            "cut": Box(4, 0.5, "tokens of\npatches"),
            "out": Box(5.2, 0.5, "output"),
        },
        [
            *chain("y", "patches", "blocks", "cut", "out"),
            Arrow("words", "blocks"),
            Arrow("level", "blocks", dashed=True),
        ],
    ),
    "samplers": Diagram(
        "Samplers as a family tree. One Euler step of the probability-flow equation is DDIM, and flow matching's Euler step is "
        "the same. With fresh noise it becomes DDPM. A second look at the end of the step gives Heun. Remembering earlier "
        "predictions gives DPM-Solver++(2M), LMS and UniPC.",
        {
            "euler": Box(2.4, 0, "Euler = DDIM = flow Euler\none call a step", "net"),
            "ddpm": Box(0.4, 1.3, "ddpm\nnew noise each step", "net"),
            "heun": Box(1.9, 1.3, "heun\na second call", "net"),
            "2m": Box(3.4, 1.3, "dpmpp_2m\none earlier prediction", "net"),
            "lms": Box(5.1, 1.3, "lms\nup to three earlier", "net"),
            "sde": Box(2.6, 2.6, "dpmpp_2m_sde\nand new noise", "net"),
            "unipc": Box(4.2, 2.6, "unipc\ncorrected afterwards", "net"),
        },
        [
            *(Arrow("euler", name) for name in ("ddpm", "heun", "2m", "lms")),
            Arrow("2m", "sde"),
            Arrow("2m", "unipc"),
        ],
    ),
    "two-stage": Diagram(
        "The two-stage model: stable noise and the caption enter a generator of convolutions and deconvolutions, which draws a "
        "draft that grows from 4 to 32 pixels. Stable noise of a chosen level is added, and diffusion under a learned "
        "coefficient refines it. In training, one likelihood bound covers noise encoder, generator, denoiser and coefficient.",
        {
            "noise": Box(0, 0, "stable noise", "noise"),
            "caption": Box(0, 1, "caption"),
            "gen": Box(1.3, 0.5, "generator\n4 → 8 → 16 → 32", "net"),
            "draft": Box(2.6, 0.5, "draft"),
            "noised": Box(3.8, 0.5, "draft + stable\nnoise of level σ"),
            "refine": Box(5.2, 0.5, "diffusion\ndown to σ = 0", "net"),
            "out": Box(6.4, 0.5, "picture"),
            "coef": Box(5.2, 1.7, "learned diffusion\ncoefficient g(t)", "net"),
            "bound": Box(2.6, 1.7, "one bound on the\nlog-likelihood", "loss"),
        },
        [
            *chain("noise", "gen", "draft", "noised", "refine", "out"),
            Arrow("caption", "gen"),
            Arrow("coef", "refine"),
            Arrow("bound", "gen", "trains", dashed=True),
            Arrow("bound", "coef", "trains", dashed=True),
        ],
    ),
    "captioner": Diagram(
        "The captioner: a picture becomes 64 tokens; the words so far go through decoder blocks, which look back at the words "
        "before and across at the picture; the output is the next word, which joins the words so far.",
        {
            "picture": Box(0, 0, "picture"),
            "encoder": Box(1.2, 0, "convolutions,\ntransformer", "net"),
            "tokens": Box(2.5, 0, "64 picture\ntokens"),
            "words": Box(0, 1.3, "style and\nwords so far"),
            "self": Box(1.3, 1.3, "look back\ncausal mask", "net"),
            "cross": Box(2.5, 1.3, "look at the\npicture", "net"),
            "mlp": Box(3.6, 1.3, "MLP", "net"),
            "next": Box(4.7, 1.3, "next word"),
        },
        [
            *chain("picture", "encoder", "tokens", "cross"),
            *chain("words", "self", "cross", "mlp", "next"),
            Arrow("next", "words", "one word more", via=((4.7, 2.3), (0, 2.3))),
        ],
    ),
    "tools": Diagram(
        "How a training runs: data give batches; the learner computes the loss and steps the optimizer; callbacks watch each "
        "step: progress, average, checkpoint, log. A pipeline loads what was saved and draws from prompts.",
        {
            "data": Box(0, 0.5, "data"),
            "learner": Box(1.3, 0.5, "Learner\nloss, optimizer", "net"),
            "callbacks": Box(
                1.3, 1.7, "callbacks: progress, average,\nschedule, checkpoint, log", "noise"
            ),
            "weights": Box(2.8, 0.5, "saved model"),
            "pipe": Box(4, 0.5, "Pipeline", "net"),
            "prompt": Box(4, 1.7, "prompt, settings,\nseed"),
            "picture": Box(5.2, 0.5, "pictures"),
        },
        [
            *chain("data", "learner", "weights", "pipe", "picture"),
            Arrow("learner", "callbacks", "each step"),
            Arrow("prompt", "pipe"),
        ],
    ),
}


def main(
    check: Annotated[
        bool, typer.Option("--check", help="write nothing, exit with 1 if a file differs")
    ] = False,
) -> None:
    "Draw all of them."
    texts = {FOLDER / f"{name}.svg": svg(diagram) for name, diagram in DIAGRAMS.items()}
    stale = [
        path
        for path, text in texts.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if check and stale:
        typer.echo(f"not as drawn by tools/diagrams.py: {', '.join(path.name for path in stale)}")
        raise typer.Exit(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in [] if check else stale:
        write_atomic(path, texts[path].encode())
        typer.echo(f"wrote {path.name}")


if __name__ == "__main__":
    typer.run(main)
