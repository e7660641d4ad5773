# wrong: round_robin: one run after the other
def round_robin(runs):
    for number, run in enumerate(runs):
        for step in run:
            yield number, step


# wrong: round_robin: ends with the shortest run
def round_robin(runs):
    for steps in zip(*runs):
        yield from enumerate(steps)


# wrong: round_robin: everything is computed first
def round_robin(runs):
    all_steps = [list(run) for run in runs]
    for k in range(max(map(len, all_steps))):
        for number, steps in enumerate(all_steps):
            if k < len(steps):
                yield number, steps[k]


# wrong: round_robin: a whole round is computed before its first step is handed out
def round_robin(runs):
    while True:
        pairs = [(number, next(run, None)) for number, run in enumerate(runs)]
        pairs = [pair for pair in pairs if pair[1] is not None]
        if not pairs:
            return
        yield from pairs
