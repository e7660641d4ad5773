# wrong: Best: the last loss
class Best(Callback):
    def __init__(self):
        self.loss, self.step = math.inf, 0

    def after_step(self, learner):
        self.loss, self.step = learner.loss, learner.step


# wrong: Best: at a moment when the step is not counted yet
class Best(Callback):
    def __init__(self):
        self.loss, self.step = math.inf, 0

    def after_backward(self, learner):
        if learner.loss < self.loss:
            self.loss, self.step = learner.loss, learner.step


# wrong: Best: the largest loss
class Best(Callback):
    def __init__(self):
        self.loss, self.step = 0.0, 0

    def after_step(self, learner):
        if learner.loss > self.loss:
            self.loss, self.step = learner.loss, learner.step


# wrong: Best: the later of two equal losses
class Best(Callback):
    def __init__(self):
        self.loss, self.step = math.inf, 0

    def after_step(self, learner):
        if learner.loss <= self.loss:
            self.loss, self.step = learner.loss, learner.step
