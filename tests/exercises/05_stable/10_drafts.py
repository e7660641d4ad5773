# wrong: refine_points: no noise is put on the draft
def refine_points(denoise, drafts, level, steps, generator):
    if not level:
        return drafts
    return run_to_end(sample_loop(ddim_step, denoise, drafts, karras_grid(steps, 0.02, level)))


# wrong: refine_points: from the highest level, whatever the noise
def refine_points(denoise, drafts, level, steps, generator):
    if not level:
        return drafts
    y = drafts + level * torch.randn(drafts.shape, generator=generator)
    return run_to_end(sample_loop(ddim_step, denoise, y, karras_grid(steps)))


# wrong: refine_points: the level is taken for a variance
def refine_points(denoise, drafts, level, steps, generator):
    if not level:
        return drafts
    y = drafts + level**0.5 * torch.randn(drafts.shape, generator=generator)
    return run_to_end(sample_loop(ddim_step, denoise, y, karras_grid(steps, 0.02, level)))


# wrong: refine_points: noise in the place of the draft
def refine_points(denoise, drafts, level, steps, generator):
    if not level:
        return drafts
    y = level * torch.randn(drafts.shape, generator=generator)
    return run_to_end(sample_loop(ddim_step, denoise, y, karras_grid(steps, 0.02, level)))


# wrong: refine_points: noise is put on at level 0 too
def refine_points(denoise, drafts, level, steps, generator):
    level = max(level, 0.03)
    y = drafts + level * torch.randn(drafts.shape, generator=generator)
    return run_to_end(sample_loop(ddim_step, denoise, y, karras_grid(steps, 0.02, level)))
