"""Write data/emoji_labels.txt: the English names of emoji (CLDR), from the npm package emojibase-data.

python data/make_emoji_labels.py                              # asks npm for the package
python data/make_emoji_labels.py emojibase-data-17.0.0.tgz    # reads a copy, without network
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from t2i_learn.core.files import write_atomic

PACKAGE = "emojibase-data@17.0.0"
LEFT_OUT = (None, 2, 9)  # groups: regional indicators, components such as skin tones, flags
TARGET = Path(__file__).parent / "emoji_labels.txt"


def pack(
    folder: str,  # where the archive goes
) -> Path:  # the archive
    "Fetch the package with npm."
    done = subprocess.run(
        ["npm", "pack", PACKAGE, "--silent"], cwd=folder, capture_output=True, text=True, check=True
    )
    return Path(folder) / done.stdout.split()[-1]


def labels(
    archive: Path,  # the package as npm packs it
) -> list[str]:  # in Unicode's order
    "The names of all emoji but flags and parts of other emoji."
    with tarfile.open(archive) as tar:
        file = tar.extractfile("package/en/data.json")
        if file is None:
            raise SystemExit(f"{archive} is not the package {PACKAGE}.")
        data = json.load(file)
    kept = [emoji for emoji in data if emoji.get("group") not in LEFT_OUT]
    return [emoji["label"] for emoji in sorted(kept, key=lambda emoji: emoji["order"])]


def main():
    "Write the file."
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(sys.argv[1]) if len(sys.argv) > 1 else pack(folder)
        write_atomic(TARGET, ("\n".join(labels(archive)) + "\n").encode())


if __name__ == "__main__":
    main()
