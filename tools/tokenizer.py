"""Train the tokenizer that ships, t2i_learn/weights/tokenizer.json: always the same file.

Trained weights are tied to it: a new tokenizer means training every shipped model again.

python tools/tokenizer.py            # write it
python tools/tokenizer.py --check    # say whether the committed file is what this script writes
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from t2i_learn.text.tokenizer import Tokenizer, normalize_text
from t2i_learn.world.captions import SPLIT_TASKS, random_facts, caption_of

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "t2i_learn" / "weights" / "tokenizer.json"
CAPTIONS = 20_000
VOCAB_SIZE = 1024


def captions(
    count: int,  # how many
    seed: int = 0,
) -> list[str]:
    "Captions of the seen split, of each task in turn."
    rng, tasks = random.Random(seed), SPLIT_TASKS["seen"]
    return [caption_of(random_facts(tasks[i % len(tasks)], "seen", rng)) for i in range(count)]


def train() -> Tokenizer:
    "Learn from the world's captions and the names of emoji; each word of a caption must be one token."
    world = captions(CAPTIONS)
    labels = (ROOT / "data" / "emoji_labels.txt").read_text(encoding="utf-8").splitlines()
    tokenizer = Tokenizer.train(world + labels, VOCAB_SIZE)
    words = sorted({f" {word}" for caption in world for word in normalize_text(caption).split()})
    split = [word for word in words if len(tokenizer.encode(word)) > 1]
    if split:
        raise SystemExit(f"these words of captions are more than one token: {split}")
    return tokenizer


def main() -> int:
    "Write the file, or compare with it."
    before = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
    tokenizer = train()
    TARGET.parent.mkdir(exist_ok=True)
    if "--check" in sys.argv:
        same = Tokenizer.load(TARGET).merges == tokenizer.merges
        print("the same" if same else f"{TARGET.name} differs from what this script writes")
        return int(not same)
    tokenizer.save(TARGET)
    print("unchanged" if TARGET.read_text(encoding="utf-8") == before else "written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
