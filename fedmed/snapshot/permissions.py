"""Whether a snapshot may be published to a repository: the token's rights, and what is there.

huggingface_hub is imported only when the Hub is used.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedmed.errors import UserError
from fedmed.files import MAX_MEBIBYTES
from fedmed.hub.client import few_attempts, file_sizes
from fedmed.hub.failures import TOKENS_PAGE
from fedmed.snapshot.manifest import CARD, CONFIG, SnapshotError, is_read, printable, read_config

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

ATTRIBUTES = ".gitattributes"
# What the Hub puts into a new repository.
NEW = re.compile(rf"{re.escape(ATTRIBUTES)}|README\.md|LICENSE[^/]*")


def check_rights(repo: str, account: dict[str, Any]) -> None:
    """Judge by what whoami tells; what it does not tell is left to the Hub."""
    namespace = repo.split("/")[0]
    token = account.get("auth", {}).get("accessToken", {})
    if token.get("role") == "read":
        raise UserError(
            f"can't publish to {repo}: the Hugging Face token can only read. "
            f"Make one with write access at {TOKENS_PAGE}."
        )
    writable = [org["name"] for org in account.get("orgs", []) if org.get("roleInOrg") != "read"]
    owned = [account["name"], *writable]
    if namespace.lower() not in [name.lower() for name in owned]:
        raise UserError(
            f"can't publish to {repo}: the Hugging Face token may write to repositories of "
            f"{', '.join(owned)}, not of {namespace}."
        )
    scopes = token.get("fineGrained", {}).get("scoped")
    if token.get("role") == "fineGrained" and scopes is not None:
        granted = [scope["entity"] for scope in scopes if "repo.write" in scope["permissions"]]
        if not any(entity.get("name") in (namespace, repo, None) for entity in granted):
            raise UserError(
                f"can't publish to {repo}: the fine-grained Hugging Face token may not write "
                f"there. Give it write access to {namespace}'s repositories at {TOKENS_PAGE}."
            )


def check_visibility(repo: str, private: bool, info: ModelInfo) -> None:
    if private and info.private is False:
        raise UserError(
            f"{repo} exists and is public, which --private can't change: make it private on its "
            "settings page, or choose another name."
        )


def replaceable(api: HfApi, repo: str, commit: str | None) -> set[str]:
    """The files at `commit` that belong to a snapshot, or that would keep one from opening.

    A new snapshot removes those that it does not replace. Files that no snapshot listed stay.
    Raises UserError where the repository holds files, and no snapshot: they are someone's work.
    """
    sizes = file_sizes(api, repo, commit)
    others = sorted(name for name in sizes if not NEW.fullmatch(name))
    if not others:
        return set()
    listed = _listed(api, repo, commit, sizes.get(CONFIG))
    if listed is None:
        raise UserError(
            f"can't publish to {repo}: it holds no FedMed snapshot that could be replaced, but "
            f"other files, such as {printable(others[0])}. They were left as they are: choose "
            "another repository name, or empty this one first."
        )
    snapshot = listed | {CONFIG, CARD}
    return {name for name in sizes if name in snapshot or is_read(name)} - {ATTRIBUTES}


def _listed(api: HfApi, repo: str, commit: str | None, size: int | None) -> set[str] | None:
    """What the snapshot at `commit` lists; None where there is none, or its list is damaged."""
    if size is None or size > MAX_MEBIBYTES * 2**20:
        return None
    # Not by the cache, where this one file would pass for the whole snapshot.
    with tempfile.TemporaryDirectory() as folder, few_attempts():
        api.hf_hub_download(repo, CONFIG, revision=commit, local_dir=folder)
        try:
            return set(read_config(Path(folder))["files"])
        except SnapshotError:
            return None
