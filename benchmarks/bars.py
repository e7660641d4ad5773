"What the benchmarks print beside a figure that has a bar."


def against(
    value: float, bar: float, least: bool = True
) -> str:  # least: the bar is the least that will do, not the most
    "The bar, and whether it is met."
    return f"bar: {bar:g}, {'met' if (value >= bar if least else value <= bar) else 'MISSED'}"
