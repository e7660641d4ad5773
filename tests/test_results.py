"What the tools' tables share: how work is cut into parts."

import pytest
import typer
from results import share_of


@pytest.mark.parametrize(("text", "part"), [("1/1", (1, 1)), ("2/3", (2, 3))])
def test_a_share_is_the_kth_of_n(text, part):
    assert share_of(text) == part


@pytest.mark.parametrize("text", ["3", "3/2", "0/2", "a/b", "1/0", "", "1/2/3", "-1/2"])
def test_anything_else_is_refused_in_a_sentence(text):
    with pytest.raises(typer.BadParameter, match="--share is k/n, such as 1/2"):
        share_of(text)
