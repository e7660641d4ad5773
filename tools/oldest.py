"""Print constraints that pin what the core needs to the oldest releases that pyproject.toml allows.

python tools/oldest.py > oldest.txt
"""

import re
import tomllib
from pathlib import Path


def oldest(requirements: list[str]) -> list[str]:
    "`name>=1.2` becomes `name==1.2`."
    found = (
        re.match(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?>=([0-9.]+)", requirement)
        for requirement in requirements
    )
    return [f"{match[1]}=={match[2]}" for match in found if match]


if __name__ == "__main__":
    project = tomllib.loads(
        (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    )
    print("\n".join(oldest(project["project"]["dependencies"])))
