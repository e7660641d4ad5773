"The prompt box and the world's desk without a browser: what is folded away in them, and what is left when they are closed."

from tiny import tiny_pipeline
from widget_tools import check_nothing_is_left, drawn

from t2i_learn.widgets.prompt_box import prompt_box
from t2i_learn.widgets.html import widget_tree
from t2i_learn.widgets.explorer import SceneExplorer


def words_of(form):
    "All that the pages of a form say."
    return " ".join(part.value for part in widget_tree(form) if part._model_name == "HTMLModel")


def test_two_hundred_prompt_boxes_leave_nothing_behind():
    pipe = tiny_pipeline()
    check_nothing_is_left(
        lambda: prompt_box(
            pipe, "a heart", num_inference_steps=1, num_images_per_prompt=1, guidance_scale=1.0
        ),
        drawn,
    )


def test_both_forms_ask_a_question_and_fold_its_answer():
    desk = SceneExplorer()
    box = prompt_box(tiny_pipeline(), "a heart")
    for form in (box.form, desk.box):
        assert "Guess first." in words_of(form) and ">Show the answer</summary>" in words_of(form)
    box.close()
    desk.close()
