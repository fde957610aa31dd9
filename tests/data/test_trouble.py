"""Many files in trouble, one line a kind."""

from __future__ import annotations

from fedmed.data.trouble import by_kind, named


def test_names_are_few_and_the_rest_is_counted() -> None:
    assert named(["a", "b", "c"]) == "a, b, c"
    assert named([str(n) for n in range(1234)]) == "0, 1, 2 and 1,231 more"


def test_one_line_a_kind_the_most_frequent_first() -> None:
    problems = [(f"{n}.png", "It is damaged.") for n in range(9)] + [("a.txt", "It is empty.")]
    assert by_kind(reversed(problems)) == [
        "9 files: 0.png, 1.png, 2.png and 6 more: It is damaged",
        "a.txt: It is empty",
    ]
