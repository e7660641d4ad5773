#!/usr/bin/env bash
# All checks that need a GPU, in one run of at most 8 minutes. Says what it found, and writes it to FOLDER/check.json.
#
# tools/gpu_check.sh [FOLDER]                       FOLDER is runs/gpu_check if not given
# T2I_DEVICE=cpu tools/gpu_check.sh FOLDER --tiny   tries the script itself, without a GPU
# PYTHON=.venv/bin/python                           another Python
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
exec "${PYTHON:-python3}" tools/gpu_check.py "$@"
