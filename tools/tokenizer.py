"""Train the tokenizers that ship: always the same files.

t2i_learn/weights/tokenizer.json         the captions of the world, and the names of emoji
t2i_learn/weights/tokenizer-free.json    also captions as people type them, which are longer

A model keeps the tokenizer that it was trained with in its own folder.

python tools/tokenizer.py            # write them
python tools/tokenizer.py --check    # say whether the committed files are what this script writes
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from t2i_learn.core.files import weights_path, write_atomic
from t2i_learn.text.tokenizer import Tokenizer, normalize_text
from t2i_learn.world.captions import SPLIT_TASKS, caption_of, random_facts
from t2i_learn.world.wording import free_example, wording_table

LABELS = Path(__file__).parents[1] / "data" / "emoji_labels.txt"
CAPTIONS = 20_000
VOCAB_SIZE = 1024
FREE_LENGTH = 80  # ids of a prompt: four things and three relations need up to seventy


def captions(
    count: int,  # how many
    seed: int = 0,
) -> list[str]:
    "Captions of the seen split, of each task in turn."
    rng, tasks = random.Random(seed), SPLIT_TASKS["seen"]
    return [caption_of(random_facts(tasks[i % len(tasks)], "seen", rng)) for i in range(count)]


def free_captions(
    count: int,  # how many
    seed: int = 0,
) -> list[str]:
    "Captions as people type them; with a typing error now and then, as in training."
    rng = random.Random(seed)
    return [free_example(rng).caption for _ in range(count)]


def check_words(tokenizer: Tokenizer, words: set[str]) -> None:
    "Insist that each word is one token."
    split = sorted(word for word in words if len(tokenizer.encode(f" {word}")) > 1)
    if split:
        raise SystemExit(f"these words are more than one token: {split}")


def train() -> dict[str, Tokenizer]:  # by file
    "Learn from captions and the names of emoji; each word of the world must be one token."
    world, labels = captions(CAPTIONS), LABELS.read_text(encoding="utf-8").splitlines()
    plain = Tokenizer.train(world + labels, VOCAB_SIZE)
    words = {word for caption in world for word in normalize_text(caption).split()}
    check_words(plain, words)
    free = Tokenizer.train(world + free_captions(CAPTIONS) + labels, VOCAB_SIZE)
    free.max_length = FREE_LENGTH
    table = [row for kind, row in wording_table().items() if kind not in ("join", "opening")]
    synonyms = {word for row in table for ways in row.values() for way in ways for word in way.split()}
    check_words(free, words | synonyms)
    return {"tokenizer.json": plain, "tokenizer-free.json": free}


def main() -> int:
    "Write the files, or compare with them."
    differs = 0
    for name, tokenizer in train().items():
        target = weights_path() / name
        before = target.read_text(encoding="utf-8") if target.exists() else ""
        if "--check" not in sys.argv:
            write_atomic(target, tokenizer.to_json().encode())
        same = before == tokenizer.to_json()
        differs += not same
        print(f"{name}: {'the same' if same else 'another'}")
    return int(bool(differs) and "--check" in sys.argv)


if __name__ == "__main__":
    raise SystemExit(main())
