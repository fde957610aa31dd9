"""A hospital runs the code that is installed there, whatever the server sends."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from fedmed.errors import UserError
from fedmed.flower import bundle

APP = Path(__file__).parents[2] / "flower"
SETTINGS = (APP / "pyproject.toml").read_text(encoding="utf-8")


def packed(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {"pyproject.toml": SETTINGS, "LICENSE": "MIT", **files}.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_the_bundle_of_this_checkout_is_accepted():
    assert {path.name for path in APP.iterdir()} == {"pyproject.toml", "LICENSE"}
    bundle.check(packed(**{".info/CONTENT": "digests"}))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (packed(**{"fedmed/flower/client_app.py": "import os"}), "it holds"),
        (packed(**{"sitecustomize.py": "import os"}), "it holds"),
        (packed(**{".info/../evil.py": "import os"}), "it holds"),
        (packed(**{"pyproject.toml": SETTINGS.replace("client_app:app", "other:app")}), "it names"),
        (packed(**{"pyproject.toml": "[tool]"}), "'flwr'"),
        (packed(**{"README.md": "x" * 200_000}), "too large"),
        (packed()[:-30], "not a zip"),
        (bytes(200_000), "are more than"),
    ],
)
def test_another_one_is_refused(content, why):
    with pytest.raises(UserError, match=why):
        bundle.check(content)
