"Every widget in JupyterLab's two themes: whatever is written stands out from what is behind it."

from driving import in_the_dark, low_contrast_texts, root_of
from hosts import WIDGETS


def test_widgets_in_both_themes(lab, quiet):
    look = lambda: {name: found for name in WIDGETS if (found := low_contrast_texts(root_of(lab, name)))}
    assert look() == {}
    with in_the_dark(lab):
        assert look() == {}
