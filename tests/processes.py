"Scripts that train on two processes, as `accelerate launch` and `torchrun` start them."

import os
import subprocess
import sys

from places import ROOT


def lines_of_two_processes(
    script,  # a file
    *arguments,
    word,  # that the lines begin with
    timeout,  # seconds
):
    "What both have printed, in lines that begin with a word."
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*launch, str(script), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [line for line in done.stdout.splitlines() if line.startswith(word)]
