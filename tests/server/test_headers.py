"""What every reply says of itself, and who may frame the page."""

from __future__ import annotations

import pytest

from fedmed.server.headers import FRAMES, headers

HERE = "'self' https://huggingface.co"
COURSE = "https://course.example.org"


def policy(environ: dict[str, str]) -> dict[str, str]:
    rules = headers(environ)["Content-Security-Policy"].split("; ")
    return dict(rule.split(" ", 1) for rule in rules)


def test_the_headers_keep_data_from_leaving():
    assert headers({})["X-Content-Type-Options"] == "nosniff"
    for found in (policy({}), policy({"SPACE_ID": "a/b"})):
        assert found["default-src"] == found["base-uri"] == found["form-action"] == "'self'"
        assert found["object-src"] == "'none'"
        sources = " ".join(value for name, value in found.items() if name != "frame-ancestors")
        assert "*" not in sources and "http" not in sources


@pytest.mark.parametrize(
    ("environ", "allowed"),
    [
        ({}, HERE),
        ({"SPACE_ID": "a/b"}, "*"),
        ({FRAMES: "all"}, "*"),
        ({"SPACE_ID": "a/b", FRAMES: "none"}, HERE),
        ({"SPACE_ID": "a/b", FRAMES: COURSE}, f"{HERE} {COURSE}"),
        ({FRAMES: f"  {COURSE}  https://*.edu "}, f"{HERE} {COURSE} https://*.edu"),
    ],
)
def test_who_may_frame_the_page(environ, allowed):
    assert policy(environ)["frame-ancestors"] == allowed


@pytest.mark.parametrize("site", ["*", "https://a.b;script-src", "'unsafe-inline'", "course"])
def test_what_is_no_site_is_left_out_and_said(caplog, site):
    found = policy({FRAMES: f"{site} {COURSE}"})
    assert found["frame-ancestors"] == f"{HERE} {COURSE}"
    assert found["script-src"] == policy({})["script-src"]
    assert FRAMES in caplog.text
