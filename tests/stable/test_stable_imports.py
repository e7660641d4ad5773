"What a shipped model needs to draw loads nothing of the world it was trained on."

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["distribution", "process", "likelihood", "settings", "two_stage", "fitted_schedule"]
)
def test_the_world_is_not_imported(module):
    code = f"import sys, t2i_learn.stable.{module}; sys.exit(str([m for m in sys.modules if m.startswith('t2i_learn.world')]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"


def test_settings_need_no_torch():
    code = "import sys, t2i_learn.stable.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
