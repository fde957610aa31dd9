"""Which bundle a hospital accepts: one that names installed modules and holds no code of its own.

Whoever controls the server can send any bundle. Flower verifies signatures of bundles published on
its own hub alone; so what comes is looked at here, before it is unpacked.
"""

from __future__ import annotations

import io
import tomllib
import zipfile
from pathlib import PurePosixPath

from fedmed.errors import UserError

COMPONENTS = {
    "serverapp": "fedmed.flower.server_app:app",
    "clientapp": "fedmed.flower.client_app:app",
}
HARMLESS = {"pyproject.toml", "LICENSE", "README.md", ".gitignore"}
LARGEST = 100_000  # bytes; ours has 3,000


def check(content: bytes) -> None:
    """Refuse a bundle that could run anything but the modules that are installed here.

    Raises:
        UserError: it holds other files than ours, or names other modules.
    """
    try:
        if len(content) > LARGEST:
            raise ValueError(f"{len(content):,} bytes are more than {LARGEST:,}")
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            for entry in bundle.infolist():
                path = PurePosixPath(entry.filename)
                if path.as_posix() not in HARMLESS and path.parent != PurePosixPath(".info"):
                    raise ValueError(f"it holds {entry.filename[:80]!a}")
                if entry.file_size > LARGEST:
                    raise ValueError(f"{entry.filename[:80]!a} is too large")
            settings = tomllib.loads(bundle.read("pyproject.toml").decode())
        named = settings["tool"]["flwr"]["app"]["components"]
        if named != COMPONENTS:
            raise ValueError(f"it names {str(named)[:200]!a}")
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, tomllib.TOMLDecodeError) as error:
        raise UserError(
            f"the server sent a bundle that is not FedMed's: {error}; nothing of it was run. A "
            "hospital runs the code that is installed there and no other"
        ) from error
