"Every widget in JupyterLab's two themes: whatever is written stands out from what is behind it."

from driving import faint, in_the_dark, root_of
from hosts import WIDGETS


def test_widgets_in_both_themes(lab, quiet):
    look = lambda: {name: found for name in WIDGETS if (found := faint(root_of(lab, name)))}
    assert look() == {}
    with in_the_dark(lab):
        assert look() == {}
