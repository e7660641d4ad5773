"Settings for every test, made before torch is imported: small presets, one thread a worker, no network, no window."

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("T2I_PRESET", "smoke")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
