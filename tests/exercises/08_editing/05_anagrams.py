# wrong: tile_view: the order undoes itself
def tile_view(order):
    def exchange(x):
        h, w = x.shape[-2] // 2, x.shape[-1] // 2
        tiles = [x[..., :h, :w], x[..., :h, w:], x[..., h:, :w], x[..., h:, w:]]
        a, b, c, d = (tiles[k] for k in order)
        return torch.cat([torch.cat([a, b], -1), torch.cat([c, d], -1)], -2)

    return View(exchange, exchange)


# wrong: tile_view: the inverse order is applied
def tile_view(order):
    def exchange(x, order):
        h, w = x.shape[-2] // 2, x.shape[-1] // 2
        tiles = [x[..., :h, :w], x[..., :h, w:], x[..., h:, :w], x[..., h:, w:]]
        a, b, c, d = (tiles[k] for k in order)
        return torch.cat([torch.cat([a, b], -1), torch.cat([c, d], -1)], -2)

    back = [list(order).index(k) for k in range(4)]
    return View(lambda x: exchange(x, back), lambda x: exchange(x, order))


# wrong: tile_view: quarters are put together column by column
def tile_view(order):
    def exchange(x, order):
        h, w = x.shape[-2] // 2, x.shape[-1] // 2
        tiles = [x[..., :h, :w], x[..., :h, w:], x[..., h:, :w], x[..., h:, w:]]
        a, b, c, d = (tiles[k] for k in order)
        return torch.cat([torch.cat([a, b], -2), torch.cat([c, d], -2)], -1)

    back = [list(order).index(k) for k in range(4)]
    return View(lambda x: exchange(x, order), lambda x: exchange(x, back))


# wrong: tile_view: the size is doubled
def tile_view(order):
    def exchange(x):
        rows = torch.cat([x, x], -1)
        return torch.cat([rows, rows], -2)

    return View(exchange, lambda x: x[..., : x.shape[-2] // 2, : x.shape[-1] // 2])
