"""HTML from the templates in `templates/`, which escape whatever text they are given.

Python computes, templates draw. A name that a template asks for and is not given is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fedmed.page import elements

# Templates are compiled while the app starts, which waits for them: unoptimised is a sixth faster,
# and draws as fast. `auto_reload` would look at their files again for every answer.
ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    optimized=False,
    auto_reload=False,
)
ENVIRONMENT.filters |= {
    "fixed": elements.fixed,
    "number": elements.number,
    "percent": elements.percent,
    "size": elements.size,
    "thousands": elements.thousands,
}


def render(template: str, **values: Any) -> Markup:
    """Draw a template of `templates/`; another template takes the result as it is."""
    return Markup(ENVIRONMENT.get_template(template).render(values))
