"""A snapshot to and from the Hugging Face Hub: published in one commit, fetched at one revision.

huggingface_hub is imported only when the Hub is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedmed.errors import UserError
from fedmed.hub_client import (
    TOKENS_PAGE,
    FetchError,
    HubError,
    PublishError,
    check_name,
    find_token,
    may_pass,
    mended_by_user,
    open_api,
    reason,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

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
DOWNLOAD_ATTEMPTS = 6

log = logging.getLogger(__name__)


def parse_reference(reference: str) -> tuple[str, str | None]:
    """Split "USER/REPO[@REVISION]". Raises UserError where it is not that."""
    repo, at, revision = reference.partition("@")
    check_name(repo)
    if at and not revision:
        raise UserError(f"'{reference}': give a branch, tag or commit after the '@'.")
    return repo, revision or None


def check_access(repo: str, *, private: bool, token: str | None = None) -> None:
    """Raise UserError unless the token may publish to `repo`. Nothing is created or changed.

    PublishError where the Hub can't be asked.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    check_name(repo)
    api = open_api(find_token(token))
    try:
        _check_rights(repo, api.whoami())
        with contextlib.suppress(RepositoryNotFoundError):  # publishing will create it
            _check_visibility(repo, private, api.model_info(repo, timeout=PROBE_SECONDS))
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
    """Make `repo` hold exactly this snapshot, by one commit. Returns the commit's URL.

    The snapshot is verified first; the repository is created if need be; files that only an
    earlier snapshot had are removed. Raises UserError for what is wrong before anything is sent
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
    present = api.list_repo_files(repo, revision=head)
    stale = sorted(set(present) - set(contents) - {".gitattributes"})
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
    _check_visibility(repo, private, info)
    return info.sha


def _cached(repo: str, revision: str | None, *, complete: bool = False) -> Path | None:
    """The cached snapshot unless it is known to lack files, or with `complete` might lack any."""
    from huggingface_hub import get_cached_repo_tree, snapshot_download
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError

    try:
        if complete:
            get_cached_repo_tree(repo, revision=revision)
        return Path(snapshot_download(repo, revision=revision, local_files_only=True))
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
    import httpx2
    from huggingface_hub import get_session, snapshot_download

    asked: Counter[str] = Counter()
    answers: dict[str, httpx2.Response] = {}

    def count(request: httpx2.Request) -> None:
        # The client resumes a broken download for as long as any byte arrives: for ever, from
        # a server that always breaks off.
        what = f"{request.method} {request.url}"
        asked[what] += 1
        if asked[what] > DOWNLOAD_ATTEMPTS:
            if what in answers and answers[what].is_error:
                answers[what].raise_for_status()
            raise httpx2.TransportError("broke off too often", request=request)

    def remember(response: httpx2.Response) -> None:
        answers[f"{response.request.method} {response.request.url}"] = response

    hooks = get_session().event_hooks
    hooks["request"].append(count)
    hooks["response"].append(remember)
    try:
        return Path(
            snapshot_download(repo, revision=commit, token=api.token, force_download=afresh)
        )
    finally:
        hooks["request"].remove(count)
        hooks["response"].remove(remember)


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


def _check_rights(repo: str, account: dict[str, Any]) -> None:
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


def _check_visibility(repo: str, private: bool, info: ModelInfo) -> None:
    if private and info.private is False:
        raise UserError(
            f"{repo} exists and is public, which --private can't change: make it private on its "
            "settings page, or choose another name."
        )
