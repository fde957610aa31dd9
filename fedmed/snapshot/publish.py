"""A snapshot published to the Hugging Face Hub, in one commit.

huggingface_hub is imported only when the Hub is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fedmed.errors import UserError
from fedmed.hub.client import (
    PROBE_SECONDS,
    check_name,
    find_token,
    open_api,
)
from fedmed.hub.failures import PublishError, may_pass, mended_by_user, reason
from fedmed.snapshot.manifest import SUMS, verify
from fedmed.snapshot.permissions import check_rights, check_visibility, replaceable

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def check_access(repo: str, *, private: bool, token: str | None = None) -> None:
    """Raise UserError unless the token may publish to `repo`, and what is there may be replaced.

    Nothing is created or changed. PublishError where the Hub can't be asked.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    check_name(repo)
    api = open_api(find_token(token))
    try:
        check_rights(repo, api.whoami())
        with contextlib.suppress(RepositoryNotFoundError):  # publishing will create it
            info = api.model_info(repo, timeout=PROBE_SECONDS)
            check_visibility(repo, private, info)
            replaceable(api, repo, info.sha)
    except UserError:
        raise
    # The client lets through exceptions of its own, of httpx2 and of the operating system.
    except Exception as error:
        kind = PublishError if may_pass(error) else UserError
        raise kind(f"can't publish to {repo}: {reason(error)}.") from error


def publish(
    folder: Path,
    repo: str,
    *,
    private: bool = False,
    token: str | None = None,
    message: str | None = None,
) -> str:
    """Make `repo` hold this snapshot, by one commit. Returns the commit's URL.

    The snapshot is verified first; the repository is created if need be; files that only an
    earlier snapshot had are removed, those that someone put beside it stay. A repository of
    anything else is refused. Raises UserError for what is wrong before anything is sent
    and PublishError after that; the repository then holds the old snapshot or the new one. Its
    exit status is that of bad usage where another token or name is needed.
    """
    check_name(repo)
    contents = _contents(folder, verify(folder)["files"])
    api = open_api(find_token(token))
    try:
        return _commit(api, contents, repo, private, message or "Publish a FedMed snapshot")
    except UserError:
        raise
    # As in check_access; and hf_xet, which sends large files, has exceptions of its own.
    except Exception as error:
        again = shlex.join(["python", "-m", "fedmed.push", str(folder), repo])
        held = (
            "The repository holds the old snapshot or all of the new one."
            if may_pass(error)
            else "Nothing there was changed."
        )
        failed = PublishError(
            f"publishing to {repo} failed: {reason(error)}. {held}\n"
            f"To try again: {again}{' --private' if private else ''}"
        )
        if mended_by_user(error):
            failed.exit_status = UserError.exit_status
        raise failed from error


def _commit(
    api: HfApi, contents: Mapping[str, bytes], repo: str, private: bool, message: str
) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    head = _head(api, repo, private)
    stale = sorted(replaceable(api, repo, head) - set(contents))
    commit = api.create_commit(
        repo,
        [
            *(CommitOperationAdd(path, data) for path, data in contents.items()),
            *(CommitOperationDelete(path) for path in stale),
        ],
        commit_message=message,
        parent_commit=head,
    )
    return commit.commit_url


def _contents(folder: Path, listed: Mapping[str, str]) -> dict[str, bytes]:
    """What is published, by name: what config.json vouches for, itself and the card.

    Read once, so that no other run can change it on the way; a stray file is never published.
    """
    if SUMS in listed:
        raise UserError(
            f"{folder} keeps every hospital's sums in {SUMS}, which tell its class means and more: "
            "they are not to be published. Train without --keep-sums to publish."
        )
    contents = {name: (folder / name).read_bytes() for name in ("config.json", *sorted(listed))}
    for name, expected in listed.items():
        if hashlib.sha256(contents[name]).hexdigest() != expected:
            raise UserError(f"{folder}: {name} has just been changed. Publish it again.")
    card = folder / "README.md"
    # Nobody vouches for what the card holds, so a link must not choose what it is. The Hub's own
    # cache is made of links to `blobs`.
    if card.is_file():
        here = folder.resolve()
        if card.resolve().parent not in (here, here.parent.parent / "blobs"):
            raise UserError(f"{card} is a link out of the snapshot; put the card itself there.")
        contents[card.name] = card.read_bytes()
    return contents


def _head(api: HfApi, repo: str, private: bool) -> str | None:
    """The newest commit of `repo`, which is created where there is none."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.model_info(repo, timeout=PROBE_SECONDS)
    except RepositoryNotFoundError:
        # None, not False: an organization may have made private its default.
        api.create_repo(repo, private=private or None, exist_ok=True)
        info = api.model_info(repo, timeout=PROBE_SECONDS)
    check_visibility(repo, private, info)
    return info.sha
