"""Two games that a reader can watch: single things in windows from nothing, and 300 steps on a supervised model.

python tools/short_game.py                     both parts; goes on where it stopped
python tools/short_game.py --part windows      the game in windows, with the preset that --preset names
python tools/short_game.py --part steps        the 300 steps and their control, with three seeds each
python tools/short_game.py --table             train nothing: write and print the table of what is finished

The second part begins with the model after the first round of `shapes-gan`, which `tools/gan_ablation.py` keeps in
runs/gan_ablation/ and which is trained if it is not there; --first names another folder of a supervised model. Game and
control have the same first weights, data, rates and number of steps. Score by task with 95 % intervals, and sharpness
against true pictures, are measured on validation prompts before and after. Checkpoints and logs are kept in
runs/short_game/, and the table goes to t2i_learn/weights/short-game.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from results import callbacks_of
from gan_ablation import first_round

from t2i_learn.core.callbacks import read_log
from t2i_learn.core.files import choose, read_json, save_png, weights_path, write_atomic
from t2i_learn.core.learner import Callback
from t2i_learn.core.pipeline import Pipeline
from t2i_learn.core.show import make_image_grid, markdown_table
from t2i_learn.gan.short_game import (
    game_and_control,
    GameReading,
    GameWatch,
    measure_game,
    prompts_of_tasks,
    WINDOW_GAMES,
)
from t2i_learn.gan.text_to_image import GAN_ROUNDS, GANConfig
from t2i_learn.world.score import RateEstimate, reference_picture
from t2i_learn.world.tasks import GENEVAL_TASKS

PARTS = ("windows", "steps")
WINDOW_TASKS = ("single", "color")

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None)


def numbers(reading: GameReading) -> dict[str, Any]:
    "A reading for JSON."
    rate: RateEstimate = reading.score
    return {
        "step": reading.step,
        "score": round(rate.rate, 4),
        "interval": [round(rate.low, 4), round(rate.high, 4)],
        "n": rate.n,
        "sharpness": round(reading.sharpness, 4),
    }


def measured(model: Any, prompts: int) -> dict[str, Any]:
    "A reading for each task, and one of all of them."
    table = {}
    for name, tasks in {"all": GENEVAL_TASKS, **{task: (task,) for task in GENEVAL_TASKS}}.items():
        rows = prompts_of_tasks(tasks, prompts)
        real = torch.stack([reference_picture(prompt) for prompt in rows])
        table[name] = numbers(measure_game(model, rows, real))
    return table


def play_windows(config: Any, folder: Path, prompts: int, every: int) -> dict[str, Any]:
    "The game in windows; what was measured before it was stopped is kept."
    file = folder / "readings.json"
    rows: list[dict[str, Any]] = read_json(file)["rows"] if file.is_file() else []
    real = config.data(1)(0).pictures
    wanted = prompts_of_tasks(WINDOW_TASKS, prompts)
    watch = GameWatch(lambda: ema.model, wanted, real, every)

    class Keep(Callback):
        "Writes each reading."

        order = watch.order + 1

        def after_step(self, learner: Any) -> None:
            if watch.readings and watch.readings[-1].step == learner.step:
                rows[:] = [r for r in rows if r["step"] < learner.step] + [numbers(watch.readings[-1])]
                write_atomic(file, json.dumps({"rows": rows}).encode())
                print(f"windows, step {learner.step}: {rows[-1]}", flush=True)

    text = config.pretrain(callbacks_of(folder, "text", 50, 25))
    learner, ema = config.learner([*callbacks_of(folder, "game", 50, 25), watch, Keep()], init=text)
    learner.fit(config.steps)
    captions = [prompt.caption for prompt in prompts_of_tasks(WINDOW_TASKS, 32)][:64]
    shown = Pipeline(config.finish(ema.model))(captions, seed=1, output_type="pt").images
    save_png(make_image_grid(shown, 8, gap=1), folder / "pictures.png", {})
    last = numbers(measure_game(ema.model, wanted, real, config.steps))
    seconds = {log.stem: round(read_log(log)[-1]["seconds"]) for log in sorted(folder.glob("*.jsonl"))}
    return {"name": "windows, from nothing", "curve": rows, "all": last, "seconds": seconds}


def play_steps(
    name: str, config: GANConfig, seed: int, first: torch.nn.Module, folder: Path, prompts: int
) -> dict[str, Any]:
    "The game or its control, from the supervised model."
    learner, ema = config.learner(callbacks_of(folder, f"{name}-{seed}", 50, 25), seed, init=first)
    learner.fit(config.steps)
    return {"name": f"{name}, seed {seed}", "steps": config.steps, **measured(ema.model, prompts)}


def keep(file: Path, make: Any) -> None:
    "Write what `make` returns, unless the file is there."
    if not file.is_file():
        write_atomic(file, (json.dumps(make(), indent=1) + "\n").encode())


def cell(entry: dict[str, Any]) -> str:
    "A score with its interval."
    return f"{entry['score']:.2f} [{entry['interval'][0]:.2f}, {entry['interval'][1]:.2f}]"


def write_table(runs: Path, out: Path) -> None:
    "Write what is finished, and print it."
    results = [read_json(file) for file in sorted(runs.glob("*.json"))]
    table = {}
    for result in results:
        tasks = {task: cell(result[task]) for task in GENEVAL_TASKS if task in result}
        whole = result["all"]
        table[result["name"]] = {"score": cell(whole), "sharpness": f"{whole['sharpness']:.2f}", **tasks}
    write_atomic(out, (json.dumps({"table": table, "results": results}, indent=1) + "\n").encode())
    columns = ["score", "sharpness", *GENEVAL_TASKS]
    rows = [[name, *(row.get(column, "") for column in columns)] for name, row in table.items()]
    print(markdown_table(["", *columns], rows))


@app.command()
def main(
    part: Annotated[str | None, typer.Option(help="windows or steps; both if not given")] = None,
    preset: Annotated[str, typer.Option(help="smoke, cpu or full")] = "cpu",
    steps: Annotated[int, typer.Option(help="of the second part")] = 300,
    seeds: Annotated[int, typer.Option(help="of the second part")] = 3,
    prompts: Annotated[int, typer.Option(help="validation prompts a task")] = 50,
    first: Annotated[Path | None, typer.Option(help="a folder of a supervised model")] = None,
    table: Annotated[bool, typer.Option("--table", help="only write and print the table")] = False,
    runs: Annotated[Path, typer.Option(help="where all is kept")] = Path("runs/short_game"),
    out: Annotated[Path | None, typer.Option(help="the table's file")] = None,
) -> None:
    "Play what is missing, then write the table."
    parts = [] if table else [choose(part, PARTS, "part")] if part else [*PARTS]
    if "windows" in parts:
        config = WINDOW_GAMES[preset]
        every = max(1, config.steps // 12)
        folder = runs / f"windows-{preset}"
        keep(runs / f"windows-{preset}.json", lambda: play_windows(config, folder, prompts, every))
    if "steps" in parts:
        pipe = Pipeline.from_pretrained(first) if first else first_round(Path("runs/gan_ablation"))
        before = lambda: {"name": "before", "steps": 0, **measured(pipe.model, prompts)}
        keep(runs / "steps-0-before.json", before)
        games = game_and_control(GAN_ROUNDS["smoke" if preset == "smoke" else "full"][1], steps)
        for seed in range(seeds):
            for name, config in games.items():
                play = lambda name=name, config=config, seed=seed: play_steps(
                    name, config, seed, pipe.model, runs / "steps", prompts
                )
                keep(runs / f"steps-{name}-{seed}.json", play)
    write_table(runs, out or weights_path() / "short-game.json")


if __name__ == "__main__":
    torch.set_num_threads(1)
    app()
