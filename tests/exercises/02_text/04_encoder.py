# wrong: causal_attention: a token does not see itself
def causal_attention(q, k, v):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu()
    return scores.masked_fill(later, float("-inf")).softmax(-1) @ v


# wrong: causal_attention: the tokens before are left out
def causal_attention(q, k, v):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).tril(-1)
    return scores.masked_fill(later, float("-inf")).softmax(-1) @ v


# wrong: causal_attention: weights become zero after the softmax
def causal_attention(q, k, v):
    weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)
    return weights.tril() @ v


# wrong: causal_attention: the square root is forgotten
def causal_attention(q, k, v):
    scores = q @ k.transpose(-2, -1)
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(later, float("-inf")).softmax(-1) @ v
