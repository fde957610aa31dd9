from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from fedmed.page import rendering
from fedmed.page.rendering import ENVIRONMENT, render
from tests.support.markup import text

PAGE = Path(rendering.__file__).parent
TEXT = "<i>\"'&</i>"


def test_text_is_escaped_and_what_was_drawn_is_not_escaped_again():
    problem = render("problem.html", message=TEXT)
    assert isinstance(problem, Markup)
    assert "<i>" not in problem and TEXT in text(problem)
    assert problem in render("report/facts.html", facts={"told": problem})


def test_a_name_that_is_not_given_is_an_error():
    with pytest.raises(UndefinedError, match="message"):
        render("problem.html")


@pytest.mark.parametrize("name", ENVIRONMENT.list_templates())
def test_templates_draw_and_never_switch_escaping_off(name):
    source = (PAGE / "templates" / name).read_text(encoding="utf-8")
    assert ENVIRONMENT.get_template(name)
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", source)


def test_only_the_renderer_and_the_charts_tags_say_what_is_markup():
    made = {
        path.name
        for path in PAGE.rglob("*.py")
        if re.search(r"Markup\([^)]", path.read_text("utf-8"))
    }
    assert made == {"charts.py", "rendering.py"}
