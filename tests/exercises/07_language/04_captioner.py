# wrong: next_token_loss: each token is predicted from itself
def next_token_loss(logits, tokens, mask):
    return F.cross_entropy(logits[mask], tokens[mask])


# wrong: next_token_loss: padding counts
def next_token_loss(logits, tokens, mask):
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:])


# wrong: next_token_loss: the sum in the place of the mean
def next_token_loss(logits, tokens, mask):
    real = mask[:, 1:]
    return F.cross_entropy(logits[:, :-1][real], tokens[:, 1:][real], reduction="sum")


# wrong: causal_attention: no mask
def causal_attention(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1) @ v


# wrong: causal_attention: a query does not see itself
def causal_attention(q, k, v):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    visible = torch.ones(scores.shape[-2:], dtype=torch.bool).tril(-1)
    return scores.masked_fill(~visible, float("-inf")).softmax(-1) @ v


# wrong: causal_attention: masked after the softmax
def causal_attention(q, k, v):
    weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)
    return weights.tril() @ v


# wrong: causal_attention: scores that are not divided
def causal_attention(q, k, v):
    scores = q @ k.transpose(-2, -1)
    visible = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    return scores.masked_fill(~visible, float("-inf")).softmax(-1) @ v
