# wrong: rise_of_error: one generator for both, so other noise the second time
@torch.no_grad()
def rise_of_error(model, pictures, captions, others, sigma, seed):
    generator = torch.Generator().manual_seed(seed)
    right, wrong = (
        denoising_error(model, pictures, sigma, model.encode(texts), generator).mean()
        for texts in (captions, others)
    )
    return float(wrong / right - 1)


# wrong: rise_of_error: the ratio alone
@torch.no_grad()
def rise_of_error(model, pictures, captions, others, sigma, seed):
    right, wrong = (
        denoising_error(
            model, pictures, sigma, model.encode(texts), torch.Generator().manual_seed(seed)
        ).mean()
        for texts in (captions, others)
    )
    return float(wrong / right)


# wrong: rise_of_error: the difference, not relative
@torch.no_grad()
def rise_of_error(model, pictures, captions, others, sigma, seed):
    right, wrong = (
        denoising_error(
            model, pictures, sigma, model.encode(texts), torch.Generator().manual_seed(seed)
        ).mean()
        for texts in (captions, others)
    )
    return float(wrong - right)


# wrong: rise_of_error: relative to the wrong caption
@torch.no_grad()
def rise_of_error(model, pictures, captions, others, sigma, seed):
    right, wrong = (
        denoising_error(
            model, pictures, sigma, model.encode(texts), torch.Generator().manual_seed(seed)
        ).mean()
        for texts in (captions, others)
    )
    return float(1 - right / wrong)


# wrong: rise_of_error: the mean of ratios
@torch.no_grad()
def rise_of_error(model, pictures, captions, others, sigma, seed):
    right, wrong = (
        denoising_error(model, pictures, sigma, model.encode(texts), torch.Generator().manual_seed(seed))
        for texts in (captions, others)
    )
    return float((wrong / right - 1).mean())


# wrong: rise_of_error: with gradients
def rise_of_error(model, pictures, captions, others, sigma, seed):
    right, wrong = (
        denoising_error(
            model, pictures, sigma, model.encode(texts), torch.Generator().manual_seed(seed)
        ).mean()
        for texts in (captions, others)
    )
    return wrong / right - 1
