"""The lock files: every pin is one that the ranges allow, with hashes, and from nowhere named."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
LOCKS = {
    name: name.replace(".txt", ".lock")
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-flower.txt")
}
OPTIONAL = {"dicomweb_client", "flwr", "onnx", "openvino", "requests", "spaces"}
PYTHONS = ("3.11", "3.12", "3.13")


def ranges(name: str) -> list[Requirement]:
    lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pins(name: str) -> list[tuple[Requirement, list[str]]]:
    """Every pin of a lock file, with its hashes."""
    text = (REPOSITORY / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return [
        (Requirement(line.split(" --hash")[0]), re.findall(r"--hash=(\S+)", line)) for line in lines
    ]


def pinned(name: str, package: str, python: str) -> list[str]:
    """The versions that a lock file gives a package, on Linux."""
    return [
        next(iter(pin.specifier)).version
        for pin, _ in pins(name)
        if canonicalize_name(pin.name) == canonicalize_name(package) and applies(pin, python)
    ]


def applies(pin: Requirement, python: str) -> bool:
    """Whether a pin is one of Linux's."""
    here = {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
    }
    return pin.marker is None or pin.marker.evaluate(here)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_has_one_pin_in_its_range(name, python):
    for wanted in ranges(name):
        found = pinned(LOCKS[name], wanted.name, python)
        assert len(found) == 1, f"{wanted.name} has {found} in {LOCKS[name]}: run `make lock`"
        assert wanted.specifier.contains(found[0]), f"{wanted}: {found[0]}: run `make lock`"


@pytest.mark.parametrize("python", PYTHONS)
def test_both_locks_pin_the_same(python):
    for pin, _ in pins("requirements-dev.lock"):
        here = pinned("requirements-dev.lock", pin.name, python)
        assert pinned("requirements.lock", pin.name, python) in ([], here)


def test_what_decides_a_result_is_the_same_between_machines():
    for name in ("torch", "numpy", "safetensors", "scipy", "scikit-learn", "pillow"):
        for python in PYTHONS:
            here = pinned("requirements-flower.lock", name, python)
            assert here == pinned("requirements.lock", name, python)


@pytest.mark.parametrize("lock", LOCKS.values())
def test_every_pin_has_hashes(lock):
    found = pins(lock)
    assert found
    for pin, hashes in found:
        assert [clause.operator for clause in pin.specifier] == ["=="], pin
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), pin


@pytest.mark.parametrize("lock", LOCKS.values())
def test_no_lock_says_where_from(lock):
    text = (REPOSITORY / lock).read_text(encoding="utf-8")
    assert not re.search(r"://|^\s*-(i|f|-index|-extra|-find)| @ ", text, re.MULTILINE)


@pytest.mark.parametrize("name", LOCKS)
def test_every_range_has_both_ends(name):
    for wanted in ranges(name):
        assert sorted(clause.operator for clause in wanted.specifier) == ["<", ">="], wanted


def test_no_torch_whose_parts_do_not_load_together():
    torch = next(wanted for wanted in ranges("requirements.txt") if wanted.name == "torch")
    assert not torch.specifier.contains("2.13.0")


def test_make_installs_from_the_locks():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    installs = [line.strip() for line in makefile.splitlines() if "pip install" in line]
    assert len(installs) == 3
    for line, lock in zip(installs, LOCKS.values(), strict=True):
        assert line.endswith(f"--require-hashes -r {lock}")


def test_licences_are_listed_of_what_is_pinned():
    """`make licences` lists what is installed, which is not always what the lock says by now."""
    text = (REPOSITORY / "docs" / "licences.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+) \| (\S+) \| (.+) \|$", text, re.MULTILINE)[2:]
    listed = {name: version for name, version, _ in rows}
    linux = {pin.name for pin, _ in pins("requirements.lock") if applies(pin, "3.11")}
    assert listed == {name: pinned("requirements.lock", name, "3.11")[0] for name in linux}


def test_what_is_imported_is_asked_for():
    """And not only brought along by something else."""
    asked = {canonicalize_name(wanted.name) for wanted in ranges("requirements.txt")}
    others = {"PIL": "pillow", "sklearn": "scikit-learn", "python_multipart": "python-multipart"}
    known = {*sys.stdlib_module_names, "fedmed", *OPTIONAL}
    for path in [*(REPOSITORY / "fedmed").rglob("*.py"), REPOSITORY / "app.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in {name.split(".")[0] for name in names} - known:
                assert canonicalize_name(others.get(name, name)) in asked, f"{path}: {name}"
