"""The example in the interface's docstring runs as it is printed."""

from __future__ import annotations

import doctest

from fedmed.federated import algorithm


def test_the_example_does_what_it_says() -> None:
    result = doctest.testmod(algorithm)
    assert result.attempted > 5 and result.failed == 0
