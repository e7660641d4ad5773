"""The schedules and samplers against diffusers': same denoiser, same noise, same pictures."""

from functools import partial
from itertools import zip_longest

import pytest
import torch

from t2i_learn.core.tensors import Noise
from t2i_learn.diffusion.schedules import (
    betas_of,
    cosine_schedule,
    flow_schedule,
    karras_grid,
    linear_schedule,
    shift_schedule,
    sigma_grid,
)
from t2i_learn.diffusion.forward import q_sample_at
from t2i_learn.diffusion.sampling import (
    ddim_step,
    ddpm_step,
    euler_step,
    get_step,
    run_to_end,
    sample_loop,
)

diffusers = pytest.importorskip("diffusers", reason="diffusers is in the extras `metrics` and `dev`")

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = (3, 3, 8, 8)
BETAS = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
SPACING = {"timestep_spacing": "trailing"}


def network():
    "A fixed random convolution: smooth, and no more a denoiser than it has to be."
    generator = torch.Generator().manual_seed(7)
    weights = torch.randn(3, 3, 3, 3, generator=generator) / 4

    def denoise(y, sigma, cond=None):
        seen = y / (1 + sigma**2).sqrt()
        return 1.3 * torch.tanh(torch.conv2d(seen, weights, padding=1) + 0.1 * sigma.log())

    return denoise


def level(alphas_cumprod, t):
    return (1 / alphas_cumprod[t] - 1).sqrt().reshape(1, 1, 1, 1).expand(SHAPE[0], 1, 1, 1)


def output_of(scheduler, x, t, kind):
    "What a network of the given kind would tell diffusers' scheduler at x_t."
    sigma = level(scheduler.alphas_cumprod, t)
    b = (1 + sigma**2).rsqrt()
    x0 = network()(x / b, sigma)
    eps = (x / b - x0) / sigma
    return {"epsilon": eps, "sample": x0, "v_prediction": b * eps - sigma * b * x0}[kind]


def first(steps, seed=3):
    grid = sigma_grid(linear_schedule(), steps)
    x = Noise(seed).normal(SHAPE, 0)
    return x, x * (1 + grid[0] ** 2).sqrt(), grid


def close(ours, theirs, tolerance=1e-4):
    assert (ours - theirs).abs().max() < tolerance


def test_linear_is_ddpm_s_schedule():
    theirs = diffusers.DDPMScheduler(**BETAS).alphas_cumprod
    t = (torch.arange(1000) + 1).double() / 1000
    close(linear_schedule().b(t) ** 2, theirs, 1e-6)
    close(betas_of(linear_schedule(), 1000), diffusers.DDPMScheduler(**BETAS).betas, 1e-6)


def test_cosine_is_improved_ddpm_s_schedule():
    theirs = diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod
    t = (torch.arange(999) + 1).double() / 1000
    close(cosine_schedule().b(t) ** 2, theirs[:999], 1e-6)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_straight_and_shifted_are_flow_matching_s_sigmas(shift):
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    t = torch.linspace(0.999, 0.001, 999, dtype=torch.float64)
    close(shift_schedule(flow_schedule(), shift).s(t), scheduler.sigmas[1:], 1e-6)


def test_karras_grid_is_edm_s():
    scheduler = diffusers.EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=7.0)
    scheduler.set_timesteps(18)
    close(karras_grid(18, 0.002, 80.0), scheduler.sigmas)


def test_q_sample_is_add_noise():
    scheduler = diffusers.DDPMScheduler(**BETAS)
    x0 = Noise(1).normal(SHAPE, 0).clamp(-1, 1)
    steps = torch.tensor([10, 400, 980])
    x, z = q_sample_at(
        x0, (steps + 1).double() / 1000, linear_schedule(), torch.Generator().manual_seed(0)
    )
    close(x, scheduler.add_noise(x0, z, steps), 1e-5)


@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("clip", [False, True])
def test_ddpm(monkeypatch, steps, kind, clip):
    scheduler = diffusers.DDPMScheduler(
        **BETAS, **SPACING, prediction_type=kind, clip_sample=clip, variance_type="fixed_small"
    )
    scheduler.set_timesteps(steps)
    x, y, grid = first(steps)
    step = 0
    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_ddpm.randn_tensor",
        lambda *_, **__: Noise(3).normal(SHAPE, step),
    )
    states = list(sample_loop(ddpm_step, network(), y, grid, noise=Noise(3), clip=clip))
    for state, t in zip(states, scheduler.timesteps, strict=True):
        close(state.y * (1 + state.sigma**2).rsqrt(), x)
        step = state.step + 1
        x = scheduler.step(output_of(scheduler, x, t, kind), t, x).prev_sample
    close(states[-1].x0_hat, x)


@pytest.mark.parametrize("steps", [10, 50])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("clip", [False, True])
def test_ddim(steps, eta, clip):
    scheduler = diffusers.DDIMScheduler(**BETAS, **SPACING, clip_sample=clip)
    scheduler.set_timesteps(steps)
    x, y, grid = first(steps)
    states = list(
        sample_loop(partial(ddim_step, eta=eta), network(), y, grid, noise=Noise(3), clip=clip)
    )
    for state, t in zip(states, scheduler.timesteps, strict=True):
        close(state.y * (1 + state.sigma**2).rsqrt(), x)
        eps = output_of(scheduler, x, t, "epsilon")
        noise = Noise(3).normal(SHAPE, state.step + 1)
        x = scheduler.step(
            eps, t, x, eta=eta, use_clipped_model_output=True, variance_noise=noise if eta else None
        ).prev_sample
    close(states[-1].x0_hat, x)


def test_euler_is_flow_matching_s():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(sigmas=[0.98, 0.8, 0.5, 0.2])
    s = scheduler.sigmas
    grid = s / (1 - s)
    x = Noise(5).normal(SHAPE, 0)
    states = sample_loop(euler_step, network(), x * (1 + grid[0]), grid)
    for state, t in zip(states, scheduler.timesteps, strict=True):
        close(state.y / (1 + state.sigma), x)
        sigma = state.sigma.reshape(1, 1, 1, 1).expand(SHAPE[0], 1, 1, 1)
        x0 = network()(x * (1 + sigma), sigma)
        velocity = (x * (1 + sigma) - x0) / sigma - x0
        x = scheduler.step(velocity, t, x).prev_sample
    close(
        run_to_end(sample_loop(euler_step, network(), Noise(5).normal(SHAPE, 0) * (1 + grid[0]), grid)),
        x,
    )


PEERS = {  # sampler: diffusers' scheduler, its options, whether it keeps DDPM's view
    "euler": ("EulerDiscreteScheduler", {}, False),
    "ddpm": ("EulerAncestralDiscreteScheduler", {}, False),
    "heun": ("HeunDiscreteScheduler", {}, False),
    "lms": ("LMSDiscreteScheduler", {}, False),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}, True),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, True),
    "unipc": ("UniPCMultistepScheduler", {"solver_order": 2}, True),
}


def asked_by(scheduler, y, keeps_view, noise):
    "Each (level, picture in our view) that diffusers' scheduler asks the network about, then where it ends."
    b = lambda sigma: (1 + sigma**2).rsqrt() if keeps_view else torch.ones(())
    x = y * b(scheduler.sigmas[0])
    for k, t in enumerate(scheduler.timesteps):
        sigma = scheduler.sigmas[k]
        scheduler.scale_model_input(x, t)
        yield sigma, x / b(sigma)
        eps = (x / b(sigma) - network()(x / b(sigma), sigma.expand(SHAPE[0], 1, 1, 1))) / sigma
        x = scheduler.step(eps, t, x, **noise(k)).prev_sample
    yield torch.tensor(0.0), x


KARRAS = {"use_karras_sigmas": True}


@pytest.mark.parametrize(
    "name, spacing", [(n, k) for n in PEERS for k in ({}, KARRAS) if not (n == "ddpm" and k)]
)
@pytest.mark.parametrize("steps", [5, 20])
def test_steps_are_diffusers(monkeypatch, name, spacing, steps):
    kind, options, keeps_view = PEERS[name]
    scheduler = getattr(diffusers, kind)(**BETAS, **options, **spacing)
    scheduler.set_timesteps(steps)
    grid, now = torch.unique_consecutive(scheduler.sigmas), [0]

    def noise(k):
        now[0] = k + 1
        return {"variance_noise": Noise(3).normal(SHAPE, k + 1)} if name == "dpmpp_2m_sde" else {}

    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_euler_ancestral_discrete.randn_tensor",
        lambda *_, **__: Noise(3).normal(SHAPE, now[0]),
    )
    y = Noise(3).normal(SHAPE, 0) * (1 + grid[0] ** 2).sqrt()
    ours = list(sample_loop(get_step(name), network(), y, grid, noise=Noise(3)))
    *theirs, (_, end) = asked_by(scheduler, y, keeps_view, noise)
    theirs = theirs[::2] if name == "heun" else theirs  # every second question is about a try
    for state, (sigma, other) in zip_longest(ours, theirs):
        assert state.sigma == sigma
        size = max(
            (1 + sigma**2).sqrt(), other.abs().max()
        )  # the network is no denoiser: in Heun's hands it grows
        close(state.y / size, other / size)
    if name != "lms":  # it draws its polynomial down to level 0; we take the last answer
        close(ours[-1].x0_hat, end)
