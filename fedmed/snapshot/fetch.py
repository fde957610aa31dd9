"""A snapshot fetched from the Hugging Face Hub, at one revision.

huggingface_hub is imported only when the Hub is used.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedmed.errors import UserError
from fedmed.hub.client import (
    PROBE_SECONDS,
    check_name,
    few_attempts,
    file_sizes,
    open_api,
)
from fedmed.hub.failures import FetchError, may_pass, reason
from fedmed.snapshot.manifest import DamagedError, SnapshotError, read_config, verify

if TYPE_CHECKING:
    from huggingface_hub import HfApi

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
