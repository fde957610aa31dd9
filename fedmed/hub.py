"""A snapshot to and from the Hugging Face Hub: published in one commit, fetched at one revision.

huggingface_hub is imported only when the Hub is used.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import logging
import re
import shlex
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedmed.errors import UserError
from fedmed.hub_access import check_rights, check_visibility, replaceable
from fedmed.hub_client import (
    FetchError,
    HubError,
    PublishError,
    check_name,
    few_attempts,
    file_sizes,
    find_token,
    may_pass,
    mended_by_user,
    open_api,
    reason,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = [
    "FetchError",
    "HubError",
    "PublishError",
    "check_access",
    "fetch",
    "parse_reference",
    "publish",
]

PROBE_SECONDS = 10.0
MAX_MEBIBYTES = 1024  # of what is fetched at once; a snapshot has 22, seven old .pth files 300
# What is fetched of a repository before what its config.json lists: that, the card, old .pth files.
FIRST = ("config.json", "README.md", "*_model.pth")

log = logging.getLogger(__name__)


def parse_reference(reference: str) -> tuple[str, str | None]:
    """Split "USER/REPO[@REVISION]". Raises UserError where it is not that."""
    repo, at, revision = reference.partition("@")
    check_name(repo)
    if at and not revision:
        raise UserError(f"'{reference}': give a branch, tag or commit after the '@'.")
    return repo, revision or None


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
    from fedmed.snapshot import verify

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


def fetch(
    repo: str,
    revision: str | None = None,
    *,
    token: str | None = None,
    tell: Callable[[str], object] | None = None,
) -> Path:
    """The folder of a snapshot in the Hub's cache, downloaded where it is not there yet.

    Only what its config.json lists is, or the .pth files of an original folder.

    A full commit hash that is cached needs no network. For a branch, a tag or None (the default
    branch) the Hub is asked; if it can't be reached, what was fetched last is used, and `tell` is
    told, or else a warning logged. Files that are not what the snapshot's config.json describes,
    as a disk or the way here may have left them, are downloaded once more. Raises UserError, or
    FetchError if there is nothing to use.
    """
    check_name(repo)
    api = open_api(token)
    if _is_commit(revision) and (cached := _cached(repo, revision, complete=True)):
        return _healed(cached, api, repo)
    try:
        commit = api.model_info(repo, revision=revision, timeout=PROBE_SECONDS).sha
        folder = _healed(_download(api, repo, commit or "main"), api, repo)
    except UserError:
        raise
    except Exception as error:  # as in check_access
        if may_pass(error) and (cached := _cached(repo, revision)):
            (tell or log.warning)(f"{repo}: {reason(error)}. Using the copy fetched earlier.")
            return cached
        raise FetchError(
            f"{repo}{f'@{revision}' if revision else ''} can't be fetched: "
            f"{reason(error, reading=True)}."
        ) from error
    _remember(folder, revision)
    return folder


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


def _cached(repo: str, revision: str | None, *, complete: bool = False) -> Path | None:
    """The cached snapshot unless it is known to lack files, or with `complete` might lack any."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError

    try:
        if complete:
            get_cached_repo_tree(repo, revision=revision)
        return _files(repo, revision, {}, local_files_only=True)
    except (CachedRepoTreeNotFoundError, LocalEntryNotFoundError):
        return None


def _healed(folder: Path, api: HfApi, repo: str) -> Path:
    """The folder, fetched again where a file in it is not what was sealed.

    The client looks at sizes only and would keep such a file for ever. What is still wrong then,
    or cannot be fetched, is for whoever opens the folder to say.
    """
    from fedmed.snapshot import DamagedError, SnapshotError, verify

    try:
        verify(folder)
    except DamagedError as error:
        log.warning("%s: %s Fetching it once more.", repo, error)
        with contextlib.suppress(Exception):
            return _download(api, repo, folder.name, afresh=True)
    except SnapshotError:
        pass
    return folder


def _download(api: HfApi, repo: str, commit: str, *, afresh: bool = False) -> Path:
    with few_attempts():
        sizes = file_sizes(api, repo, commit)
        return _files(repo, commit, sizes, token=api.token, force_download=afresh)


def _files(repo: str, revision: str | None, sizes: Mapping[str, int], **options: Any) -> Path:
    """The folder that `snapshot_download` gives, with the files of a snapshot and no others.

    Raises UserError where their `sizes` come to more than any snapshot's.
    """
    from huggingface_hub import snapshot_download

    from fedmed.snapshot import SnapshotError, read_config

    def get(*patterns: str) -> Path:
        wanted = [n for n in sizes if any(fnmatchcase(n, pattern) for pattern in patterns)]
        if sum(sizes[name] for name in wanted) > MAX_MEBIBYTES * 2**20:
            raise UserError(
                f"{repo}: its files come to more than {MAX_MEBIBYTES} MiB, which no snapshot has; "
                "they were not fetched."
            )
        allowed = list(patterns)
        return Path(snapshot_download(repo, revision=revision, allow_patterns=allowed, **options))

    folder = get(*FIRST)
    with contextlib.suppress(SnapshotError):  # which is for whoever opens the folder to say
        folder = get(*map(glob.escape, read_config(folder)["files"]))
    return folder


def _remember(folder: Path, revision: str | None) -> None:
    """Let the cache know which commit a branch was at, once that commit is complete.

    The client does so before it downloads, and a download that breaks off would then hide the
    complete snapshot fetched earlier from whoever is offline.
    """
    if _is_commit(revision):
        return
    reference = folder.parent.parent / "refs" / (revision or "main")
    with contextlib.suppress(OSError):  # a cache may be read-only
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(folder.name, encoding="utf-8")


def _is_commit(revision: str | None) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}", revision or "") is not None
