"""What other sites show of a link to the page."""

from __future__ import annotations

import re

import httpx

from fedmed.page.header import PREVIEW
from fedmed.server.preview import Preview
from tests.support.app_fixtures import REPOSITORY


def test_a_link_shows_the_page_and_not_gradio(server):
    reply = httpx.get(server, timeout=30)
    head = reply.text.partition("</head>")[0]
    found = dict(re.findall(r'<meta\s+(?:property|name)="([^"]+)"\s+content="([^"]*)"', head))
    assert found["og:image"] == PREVIEW.image and PREVIEW.image.startswith("https://")
    assert found["og:title"] == PREVIEW.title and found["og:description"]
    assert len(re.findall("og:image", head)) == 1 and "header-image" not in head
    assert int(reply.headers["content-length"]) == len(reply.content)


def test_the_picture_is_there_and_is_the_spaces_too():
    path = PREVIEW.image.partition("/main/")[2]
    assert (REPOSITORY / path).is_file()
    assert f"thumbnail: {PREVIEW.image}" in (REPOSITORY / "README.md").read_text("utf-8")


def test_words_are_text():
    assert b"<b>" not in Preview("<b>", '"><b>', "https://a/b.png").tags()
