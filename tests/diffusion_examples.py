"What the tests of diffusion try: schedules of every kind, and strategies for levels and seeds."

from hypothesis import strategies as st

from t2i_learn.diffusion.schedules import (
    cosine_schedule,
    flow_schedule,
    linear_schedule,
    log_linear_schedule,
    shift_schedule,
)

SCHEDULES = [
    linear_schedule(),
    cosine_schedule(),
    log_linear_schedule(),
    flow_schedule(),
    shift_schedule(flow_schedule(), 3.0),
    shift_schedule(cosine_schedule(), 0.5),
]
schedules = st.sampled_from(SCHEDULES)
levels = st.floats(1e-3, 1e3)
seeds = st.integers(0, 2**63 - 1)
