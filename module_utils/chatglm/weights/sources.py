"""Where weights come from: the hub, ModelScope, a folder, a Seafile share, a web folder; each gives verified files.

A source only knows addresses; :mod:`transfer` moves the bytes and decides by their digest.
"""

from __future__ import annotations

import json
import os
import posixpath
import subprocess
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.network_environment import past_loopback, stopped
from ..core.processes import die_with_parent, isolated, source_of
from . import hub_worker
from .connection import Options, get_json, shown
from .content import Moved, TransferError, Wanted
from .snapshot import Entry, entries
from .transfer import copy, fetch

Check = Callable[[Path], None]


class Source:
    """One place that may have the files; ``label`` names it in messages."""

    label = ""

    def get(self, path: str, target: Path, wanted: Wanted, check: Check | None, mend: str) -> Moved:
        """Put the verified file at ``target``.

        Args:
            path: the file's path in the repository.
            target: its final place.
            wanted: what it has to be.
            check: looks at the verified content before it is put in place; raises to refuse it.
            mend: what is mended by ranges, as in :func:`transfer.fetch`; empty for the whole file.

        Raises:
            TransferError: this source cannot.
            OSError: the target's folder cannot be written.

        """
        raise NotImplementedError


def refuse_other_size(size: object, wanted: Wanted, where: str) -> None:
    """Refuse a file of another size than ``wanted``, before a byte of it is fetched.

    Raises:
        TransferError: names both sizes.

    """
    if isinstance(size, int) and wanted.size is not None and size != wanted.size:
        raise TransferError(
            "short" if size < wanted.size else "long", f"{size} bytes in {where}, expected {wanted.size}"
        )


class Folder(Source):
    """A folder on the host, a Windows drive under /mnt included. Copied, not linked: the folder may go away."""

    def __init__(self, path: str) -> None:
        """Take the folder's path."""
        self.path = Path(os.path.expanduser(path))
        self.label = f"folder {self.path}"

    def get(self, path: str, target: Path, wanted: Wanted, check: Check | None, mend: str) -> Moved:
        """Copy the file."""
        return copy(self.path / path, target, wanted, check=check, mend=mend)


class Web(Source):
    """A web folder: the files lie at the base address plus their path."""

    def __init__(self, base: str, options: Options) -> None:
        """Take the base address."""
        self.base = base.rstrip("/") + "/"
        self.options = options
        self.label = f"url {shown(base)}"

    def get(self, path: str, target: Path, wanted: Wanted, check: Check | None, mend: str) -> Moved:
        """Download the file."""
        url = self.base + urllib.parse.quote(path)
        return fetch(url, target, wanted, self.options, check=check, mend=mend)


class Seafile(Source):
    """A public share of a Seafile server, as the Tsinghua cloud has one for these weights.

    The listing names the files with their sizes, so that one which is not there or of another size costs nothing.
    The listing's form and the download address are those that public download scripts use.
    """

    def __init__(self, url: str, share: str, folder: str, options: Options) -> None:
        """Take the server's address, the share's id, and the folder in it."""
        self.url = url.rstrip("/")
        self.share = urllib.parse.quote(share, safe="")
        self.folder = "/" + folder.strip("/")
        self.options = options
        self.label = f"seafile {shown(url)} share {share}"
        self._listings: dict[str, dict[str, Mapping[str, Any]]] = {}

    def _listing(self, folder: str) -> dict[str, Mapping[str, Any]]:
        if folder not in self._listings:
            query = urllib.parse.urlencode({"path": folder})
            address = f"{self.url}/api/v2.1/share-links/{self.share}/dirents/?{query}"
            answer = get_json(address, self.options)
            try:
                files = {item["file_name"]: item for item in answer["dirent_list"] if not item.get("is_dir")}
            except (KeyError, TypeError, AttributeError) as error:
                raise TransferError("html", "the share's listing has an unknown form") from error
            self._listings[folder] = files
        return self._listings[folder]

    def get(self, path: str, target: Path, wanted: Wanted, check: Check | None, mend: str) -> Moved:
        """Download the file."""
        path = posixpath.join(self.folder, path)
        item = self._listing(posixpath.dirname(path)).get(posixpath.basename(path))
        if item is None:
            raise TransferError("missing", f"the share has no {path}")
        refuse_other_size(item.get("size"), wanted, "the share")
        query = urllib.parse.urlencode({"p": item.get("file_path") or path, "dl": "1"})
        address = f"{self.url}/d/{self.share}/files/?{query}"
        return fetch(address, target, wanted, self.options, source=self.label, check=check, mend=mend)


class ModelScope(Source):
    """A repository on ModelScope, which answers in China where the hub may not.

    The two routes are those of its public client (modelscope.hub.api). Its revisions are not the hub's commits: what
    it has counts only by the digests that are pinned or that the hub named.
    """

    def __init__(self, url: str, repo: str, revision: str, options: Options) -> None:
        """Take the server's address, the repository as OWNER/NAME, and the branch or tag there."""
        self.options = options
        self.label = f"modelscope {shown(url)} {repo}"
        self._base = f"{url.rstrip('/')}/api/v1/models/{urllib.parse.quote(repo)}/repo"
        self._revision = revision
        self._listing: dict[str, Mapping[str, Any]] | None = None

    def _files(self) -> dict[str, Mapping[str, Any]]:
        if self._listing is None:
            query = urllib.parse.urlencode({"Revision": self._revision, "Recursive": "true"})
            answer = get_json(f"{self._base}/files?{query}", self.options)
            try:
                if not answer.get("Success", True):
                    raise TransferError("missing", f"it says: {answer.get('Message')}")
                files = {item["Path"]: item for item in answer["Data"]["Files"] if item.get("Type") != "tree"}
            except (KeyError, TypeError, AttributeError) as error:
                raise TransferError("html", "its listing has an unknown form") from error
            self._listing = files
        return self._listing

    def get(self, path: str, target: Path, wanted: Wanted, check: Check | None, mend: str) -> Moved:
        """Download the file."""
        item = self._files().get(path)
        if item is None:
            raise TransferError("missing", f"the repository has no {path}")
        refuse_other_size(item.get("Size"), wanted, "the repository")
        digest, announced = wanted.digest, str(item.get("Sha256") or "").lower()
        if digest.algorithm == "sha256" and announced not in ("", digest.hexadecimal):
            raise TransferError("digest", f"it announces sha256 {announced}, expected {digest.hexadecimal}")
        query = urllib.parse.urlencode({"Revision": self._revision, "FilePath": path})
        address = f"{self._base}?{query}"
        return fetch(address, target, wanted, self.options, source=self.label, check=check, mend=mend)


@dataclass(frozen=True)
class Question:
    """What is asked at a hub: a pinned revision, and how.

    ``names`` are the files that may be fetched (None for all): their addresses come with the first answer.
    """

    repo: str
    revision: str
    token: str
    python: str
    names: list[str] | None


class Hub(Source):
    """A Hugging Face hub or mirror, asked through huggingface_hub in the virtualenv (see hub_worker)."""

    def __init__(self, endpoint: str, question: Question, options: Options) -> None:
        """Take the hub's address, what is asked there, and the limits."""
        self.endpoint = endpoint.rstrip("/")
        self.question = question
        self.options = options
        self.label = f"hub {shown(endpoint)}"
        self._located: dict[str, Any] = {}
        self._files: list[Entry] | None = None
        self._refused: TransferError | None = None
        self.silent: dict[str, str] = {}
        """Why it names no digest of a file, by the file's path."""

    def files(self) -> list[Entry]:
        """Return the revision's files with sizes and digests, as the hub describes them.

        Raises:
            TransferError: the hub cannot be asked, refuses, or answers for another commit.

        """
        if self._files is None:
            self._ask(self.question.names)
        assert self._files is not None
        return self._files

    def _ask(self, names: list[str] | None) -> None:
        if self._refused is not None:
            raise self._refused
        try:
            answer = self._worker(names)
            if answer["commit"] != self.question.revision:
                text = (
                    f"it answers with commit {answer['commit']} instead of the pinned revision {self.question.revision}"
                )
                raise TransferError("commit", text)
            self._files = entries(answer["files"], f"the listing of {self.label}")
            self.silent = {one["path"]: str(one["why"]) for one in answer["files"] if "why" in one}
            self._located.update(answer["located"])
        except TransferError as error:
            self._refused = error
            raise

    def _worker(self, names: list[str] | None) -> dict[str, Any]:
        request = {
            "endpoint": self.endpoint,
            "repo": self.question.repo,
            "revision": self.question.revision,
            "token": self.question.token,
            "timeout": self.options.timeout,
            "retry_after": self.options.retry_after,
            "ca_bundle": self.options.ca_bundle,
            "locate": names,
        }
        script = f"{source_of(hub_worker)}\nmain({request!r})\n"
        if problem := stopped("hub", self.endpoint, os.environ):
            raise TransferError("proxy", problem.said()[0])
        environment = {**os.environ, **past_loopback(os.environ)}
        # Every question has its own time limit; this one only bounds their sum.
        limit = 120 + 4 * self.options.timeout + 3 * self.options.retry_after
        try:
            done = subprocess.run(
                isolated(self.question.python, "-"),
                input=script.encode(),
                capture_output=True,
                timeout=limit,
                check=False,
                env=environment,
                preexec_fn=die_with_parent(),
            )
        except subprocess.TimeoutExpired as error:
            raise TransferError("timeout", f"huggingface_hub gave no answer for {limit:.0f} s") from error
        except OSError as error:
            text = f"the virtualenv's Python {self.question.python or '(not given)'} cannot be run: {error.strerror}"
            raise TransferError("library", text) from error
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        for line in lines:
            if line.startswith(hub_worker.MARK):
                answer: dict[str, Any] = json.loads(line[len(hub_worker.MARK) :])
                if "error" in answer:
                    raise self._reason(answer["error"])
                return answer
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no output"])[-1][:300]
        if self.question.token:
            last = last.replace(self.question.token, "***")
        raise TransferError("library", f"huggingface_hub failed with exit status {done.returncode}: {last}")

    def _reason(self, error: Mapping[str, Any]) -> TransferError:
        kind, status, text = str(error["kind"]), int(error.get("status") or 0), str(error["text"])
        if kind == "library":
            return TransferError("library", text)
        if status:
            return TransferError("http", f"HTTP {status}: {text}", status=status)
        word = "tls" if "SSL" in kind else "timeout" if "Timeout" in kind else "network"
        return TransferError(word, f"{kind}: {text}")

    def get(self, path: str, target: Path, wanted: Wanted, check: Check | None, mend: str) -> Moved:
        """Download the file from the address that the hub names for it at the revision."""
        self.files()
        if path not in self._located:
            self._ask([path])
        place = self._located[path]
        if "error" in place:
            raise self._reason(place["error"])
        if place["commit"] not in (None, self.question.revision):
            raise TransferError("commit", f"{path} comes from commit {place['commit']}, not from the pinned revision")
        tag = place["etag"] or ""
        # The hub's entity tag is the sha256 of an LFS file and the git blob id of any other.
        digest = wanted.digest
        if len(tag) == len(digest.hexadecimal) and tag != digest.hexadecimal:
            raise TransferError("digest", f"it announces {digest.algorithm} {tag}, expected {digest.hexadecimal}")
        return fetch(
            place["url"],
            target,
            wanted,
            self.options,
            authorization=f"Bearer {self.question.token}" if self.question.token else "",
            check=check,
            mend=mend,
        )


def build(raw: list[Mapping[str, Any]], question: Question, options: Options) -> list[Source]:
    """Return the sources that the settings list, in their order; see the module model_snapshot for the keys."""
    result: list[Source] = []
    for item in raw:
        if item["type"] == "hub":
            result.append(Hub(item["endpoint"], question, options))
        elif item["type"] == "folder":
            result.append(Folder(item["path"]))
        elif item["type"] == "seafile":
            result.append(Seafile(item["url"], item["share"], item.get("folder") or "/", options))
        elif item["type"] == "modelscope":
            result.append(ModelScope(item["url"], item["repo"], item.get("revision") or "master", options))
        else:
            result.append(Web(item["url"], options))
    return result
