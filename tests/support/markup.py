"""Reading HTML in tests: that it is well formed, and what text it shows."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"img", "input", "br", "meta", "link"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.problems: list[str] = []
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        self.words.append(data)


def read(html: str) -> _Reader:
    """Parse, and fail where a tag is left open or closed out of turn."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert not reader.problems, reader.problems[:3]
    assert not reader.open, f"never closed: {reader.open}"
    return reader


def text(html: str) -> str:
    """What is shown, with single spaces."""
    return " ".join(" ".join(read(html).words).split())


def tags(html: str, name: str, **wanted: str) -> list[dict[str, str | None]]:
    """The attributes of every tag of a name that has the wanted ones (`class_` a word of class)."""
    found = []
    for tag, attributes in read(html).tags:
        of_class = wanted.get("class_")
        plain = {key: value for key, value in wanted.items() if key != "class_"}
        if (
            tag == name
            and all(attributes.get(key) == value for key, value in plain.items())
            and (of_class is None or of_class in (attributes.get("class") or "").split())
        ):
            found.append(attributes)
    return found
