# wrong: redraw: the number of the picture is forgotten
def redraw(path):
    facts = read_png_fields(path)
    return pipe(
        facts["prompt"],
        seed=int(facts["seed"]),
        num_inference_steps=int(facts["num_inference_steps"]),
        guidance_scale=float(facts["guidance_scale"]),
        sampler=facts["sampler"],
    ).images[0]


# wrong: redraw: the guidance is the default
def redraw(path):
    facts = read_png_fields(path)
    return pipe(
        facts["prompt"],
        seed=int(facts["seed"]),
        first=int(facts["picture"]),
        num_inference_steps=int(facts["num_inference_steps"]),
        sampler=facts["sampler"],
    ).images[0]


# wrong: redraw: seed and number are added
def redraw(path):
    facts = read_png_fields(path)
    return pipe(
        facts["prompt"],
        seed=int(facts["seed"]) + int(facts["picture"]),
        num_inference_steps=int(facts["num_inference_steps"]),
        guidance_scale=float(facts["guidance_scale"]),
        sampler=facts["sampler"],
    ).images[0]
