"""python -m fedmed.space [FOLDER]: a folder to upload as a Space, with what the app needs alone.

A working folder also holds an environment, data, weights and snapshots of one's own, which must not
be published with it. So nothing is copied but what is named here, and the copy is looked through.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path, PurePosixPath

from fedmed import cli
from fedmed.errors import UserError

ROOT = Path(__file__).parents[1]
SPACE = Path("build/space")
# Of the folder this program lies in, by path.
NEEDED = ("app.py", "README.md", "LICENSE", "SECURITY.md", "requirements.txt", "docs/page.png")
COPIED = (*NEEDED, "docs/*.md", "docs/decisions/*.md", "examples/*", "fedmed/**/*")
# What code, pages, examples and snapshots are made of; LICENSE has no ending.
ENDINGS = ("", ".py", ".css", ".js", ".html", ".svg", ".txt", ".md", ".png", ".json")
WEIGHTS = "fedmed/bundled/*/*.safetensors"  # of what ships, and of nothing else
MOST_MEBIBYTES = 300  # what ships takes 46; more, and something is in it that should not be


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fedmed.space",
        description="Copy what the app needs into a folder of its own, to be uploaded as a Space, "
        "and check it.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "folder", nargs="?", default=SPACE, type=Path, metavar="FOLDER", help=f"default: {SPACE}"
    )
    folder = parser.parse_args(arguments).folder
    files = make(folder)
    size = sum((folder / name).stat().st_size for name in files) / 2**20
    print(f"{len(files)} files, {size:.0f} MiB, in {folder}. To upload them:")
    hub = Path(cli.python()).with_name("hf")
    print(f"  {hub} upload USER/SPACE {folder} --repo-type space")


def make(folder: Path, root: Path = ROOT) -> list[str]:
    """Fill `folder` with a Space made of `root`, and return the files' names.

    Raises:
        UserError: `folder` holds something else, or what is to be copied is not as it should be.
    """
    from fedmed.snapshot.manifest import verify

    if folder.exists():
        if not (folder / "app.py").is_file() or (folder / "train.py").exists():
            raise UserError(f"{folder} holds something else: name a folder that is not there yet.")
        shutil.rmtree(folder)
    names = listed(root)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, folder / name)
    for snapshot in (folder / "fedmed" / "bundled").iterdir():
        if (snapshot / "config.json").exists():
            verify(snapshot)
    return names


def listed(root: Path) -> list[str]:
    """The files of a Space, by their names relative to `root`.

    Raises:
        UserError: one is missing, is a link, or all are too large together.
    """
    if missing := [name for name in NEEDED if not (root / name).is_file()]:
        raise UserError(f"{root / missing[0]} is missing: a Space cannot be made of this folder.")
    found = {path for pattern in COPIED for path in root.glob(pattern) if path.is_file()}
    names = sorted(path.relative_to(root).as_posix() for path in found)
    names = [name for name in names if _belongs(name)]
    if links := [name for name in names if (root / name).is_symlink()]:
        raise UserError(f"{links[0]} is a link, which would leave this folder: put the file there.")
    size = sum((root / name).stat().st_size for name in names) / 2**20
    if size > MOST_MEBIBYTES:
        largest = max(names, key=lambda name: (root / name).stat().st_size)
        raise UserError(
            f"The Space would hold {size:.0f} MiB, and {MOST_MEBIBYTES} are allowed; the largest "
            f"file is {largest}."
        )
    return names


def _belongs(name: str) -> bool:
    path = PurePosixPath(name)
    if any(part.startswith((".", "__pycache__")) for part in path.parts):
        return False
    return path.suffix in ENDINGS or path.match(WEIGHTS)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
