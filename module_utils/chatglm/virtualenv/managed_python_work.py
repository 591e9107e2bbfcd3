"""The work on a managed Python, done by uv: fetch aside from one source after another, prove, swap; or clean up."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..core import progress
from ..core.addresses import masked
from ..core.failure import Failure
from ..core.files import put_aside, unusable, write_atomic, write_json
from ..core.network_remedy import remedy
from ..core.processes import isolated
from .managed_python import (
    FORMAT,
    Observed,
    Plan,
    Release,
    Wanted,
    addresses,
    as_text,
    fault,
    make_entry,
    strangers,
    walk,
)
from .python_env import Record, damage
from .uv_command import Sources, bare_environment, certificates, remove_path, run_uv

PROOF = "import ctypes, hashlib, lzma, sqlite3, ssl, sys, zlib; print('.'.join(map(str, sys.version_info[:3])))"
# No other source would help.
_OWN = re.compile(r"os error (28|122|13|30)\b|No space left|Disk quota|Permission denied|Read-only file system")
_REASONS: tuple[tuple[str, str], ...] = (
    (r"Hash mismatch", "another content than the list says, by its sha256"),
    (r"dns error", "its name cannot be resolved"),
    (r"\b404\b", "not there (404)"),
    (r"invalid peer certificate|UnknownIssuer", "a certificate that this host does not trust (chatglm_ca_bundle)"),
    (r"Connection refused", "the connection is refused"),
    (r"timed out|Timeout", "no answer in time"),
    (r"unexpected end of file|connection closed|error decoding response|end of file before", "it was cut off"),
    (r"Invalid gzip header|Invalid tar|Failed to extract", "no archive, or a damaged one"),
)


def reason_of(stderr: str) -> str:
    """Return why a source did not give the archive, in a few words, from what uv wrote."""
    for pattern, reason in _REASONS:
        if re.search(pattern, stderr, re.IGNORECASE):
            return reason
    causes = re.findall(r"(?m)^\s*cause: (.*)$", masked(stderr))
    return causes[-1][:200] if causes else (masked(stderr).strip().splitlines() or ["no reason given"])[-1][:200]


def _is(tree: str, path: str, digest: str | None, target: str | None) -> bool:
    """Tell whether a file has this digest, or a link this target."""
    place = f"{tree}/{path}"
    if os.path.islink(place):
        return os.readlink(place) == target
    return digest is not None and not damage(tree, Record("", ((path, digest),)))


class Builder:
    """Runs uv and does what a plan says.

    Args:
        wanted: what should be there.
        uv: path of the uv binary.
        mirrors: where to ask, see :func:`managed_python.addresses`.
        sources: proxy and certificates, as for packages.
        environ: the process environment.
        timeout: seconds that one source may take.

    """

    def __init__(
        self,
        wanted: Wanted,
        uv: str,
        mirrors: list[str],
        sources: Sources,
        *,
        environ: Mapping[str, str],
        timeout: float = 7200,
    ) -> None:
        """Keep the settings; nothing is run or written."""
        self.wanted, self.uv, self.mirrors, self.sources = wanted, uv, mirrors, sources
        self.environ, self.timeout = environ, timeout
        self.stderr = ""
        self.source = ""
        self.failed: list[str] = []
        self.kept: list[str] = []

    def _environment(self) -> dict[str, str]:
        environment = bare_environment(self.environ, self.sources.proxy, f"{self.wanted.partial}/cache")
        # What is fetched does not wait forever, but a slow line may pause.
        environment.update(UV_HTTP_RETRIES="2", UV_HTTP_TIMEOUT="60", UV_HTTP_CONNECT_TIMEOUT="15")
        if self.sources.ca_bundle:
            bundle = f"{self.wanted.partial}/ca-bundle.pem"
            write_atomic(bundle, certificates(self.sources.ca_bundle, self.environ))
            environment["SSL_CERT_FILE"] = bundle
        return environment

    def _fetch(self, release: Release) -> None:
        """Have uv fetch, check and unpack the archive from the first source that gives it.

        Raises:
            Failure: none does, or this host is at fault.

        """
        wanted = self.wanted
        environment = self._environment()
        # Not as an argument: an address may hold a password, and arguments are open to all users of a host.
        listed = f"{wanted.partial}/downloads.json"
        command = [self.uv, "python", "install", "--no-bin", "--no-registry", "--install-dir", f"{wanted.partial}/new"]
        command += ["--python-downloads-json-url", listed, release.key]
        doing = f"fetching Python {release}"

        def look(pid: int) -> None:
            progress.tell("fetch", f"Python {release.version}", written=progress.of_process(pid, "io", "wchar"))

        for url in addresses(release, self.mirrors):
            path = unquote(url[len("file://") :]) if url.startswith("file://") else ""
            if path and not os.access(path, os.R_OK):
                self.failed.append(f"{path}: " + ("it may not be read" if os.path.exists(path) else "no such file"))
                continue
            remove_path(f"{wanted.partial}/new")
            write_atomic(listed, as_text(release, url), 0o600)
            status, _, told = run_uv(command, environment, self.timeout, doing, look=look)
            if not status:
                self.source = masked(url)
                return
            self.stderr += masked(told)
            own = _OWN.search(told)
            if own:
                number = int(own[1]) if own[1] else 28
                raise unusable(OSError(number, os.strerror(number)), f"{wanted.partial}/new")
            self.failed.append(f"{masked(url)}: {reason_of(told)}")
        raise Failure(
            f"no source gave Python {release}: " + "; ".join(self.failed),
            f"one that gives the archive with sha256 {release.sha256}",
            remedy(
                "; ".join(self.failed),
                "check network and proxy, or name a mirror or the archive's path on this host: "
                '-e \'{"virtualenv_python_mirrors": ["/path/to/FOLDER"]}\'; or install Python 3.12 or 3.11 yourself',
                "uv",
                next((url for url in addresses(release, self.mirrors) if url.startswith("http")), ""),
            ),
        )

    def _settle(self, built: str, tree: str) -> tuple[dict[str, str], dict[str, str]]:
        """Let files name the place where they are to stand, and return digests and links of all.

        uv writes the place of the installation into a few of them.
        """
        files, links = walk(built)
        before, after = os.fsencode(built), os.fsencode(tree)
        digests = {}
        for path in files:
            place = Path(built, path)
            data = place.read_bytes()
            if before in data and b"\0" not in data:
                data = data.replace(before, after)
                write_atomic(place, data, stat.S_IMODE(place.stat().st_mode) | stat.S_IWUSR)
            digests[path] = "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        for path, target in links.items():
            if target.startswith(f"{built}/"):
                links[path] = os.path.relpath(target, os.path.dirname(f"{built}/{path}"))
                os.unlink(f"{built}/{path}")
                os.symlink(links[path], f"{built}/{path}")
        return digests, links

    def _prove(self, built: str, release: Release) -> None:
        """Run the new interpreter.

        Raises:
            Failure: it does not run here, or is another version.

        """
        python = f"{built}/bin/python{release.minor}"
        try:
            done = subprocess.run(
                isolated(python, "-c", PROOF),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=120,
                check=False,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            )
            found = done.stdout.strip() or (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        except (OSError, subprocess.SubprocessError) as error:
            found = str(error)
        if found != release.version:
            raise Failure(
                f"Python {release}, as the list says by its sha256, does not run here: {found[:300]}",
                f"an interpreter that says {release.version}",
                "install Python 3.12 or 3.11 on this host, and run again with -e virtualenv_python_source=host",
            )

    def _put_aside(self, tree: str, paths: list[str]) -> None:
        """Move files that no archive has brought to where the user finds them again."""
        for path in paths:  # one by one: what was moved is known on every way out
            self.kept.append(put_aside(tree, path, self.wanted.kept))

    def _write(self, record: dict[str, dict[str, Any]]) -> None:
        if record:
            write_json(self.wanted.record, {"format": FORMAT, "pythons": record})
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.wanted.record)

    def _build(self, release: Release, observed: Observed) -> dict[str, dict[str, Any]]:
        """Build aside, prove, and put in place what differs from what is there; return the record.

        Raises:
            Failure: a step failed; what was there is as it was.

        """
        wanted = self.wanted
        tree, built = f"{wanted.folder}/{release.key}", f"{wanted.partial}/new/{release.key}"
        try:
            os.makedirs(wanted.partial, mode=0o755)
            self._fetch(release)
            if not os.path.isdir(built):
                raise Failure(
                    f"uv has put nothing into {built}", f"Python {release} there", "run the play again with -vvv"
                )
            digests, links = self._settle(built, tree)
            self._prove(built, release)
            entry = make_entry(built, tree, release, digests, links)
        except BaseException:
            remove_path(wanted.partial)
            raise
        if os.path.lexists(tree) and not fault(tree, entry, release.interpreter(wanted.folder), Observed(), full=True):
            # Only what was recorded of it was wrong: what runs from it goes on.
            remove_path(wanted.partial)
            aside, bytecode = strangers(tree, entry)
            self._put_aside(tree, aside)
            for path in bytecode:
                os.unlink(f"{tree}/{path}")
            record = {**observed.record, release.key: make_entry(tree, tree, release, digests, links)}
            self._write(record)
            return record
        if os.path.lexists(tree):
            # What its own record does not name is somebody's, unless it is what this archive has brought.
            before = observed.record.get(release.key, {"files": {}, "links": {}})
            same = [path for path in strangers(tree, before)[0] if _is(tree, path, digests.get(path), links.get(path))]
            known = {"files": {**before["files"], **dict.fromkeys(same)}, "links": before["links"]}
            self._put_aside(tree, strangers(tree, known)[0])
        os.makedirs(wanted.folder, exist_ok=True)
        # First: to move a folder changes no file's times, and what the record does not describe is looked at in full.
        record = {**observed.record, release.key: entry}
        self._write(record)
        if os.path.lexists(tree):
            os.rename(tree, wanted.old)
        os.rename(built, tree)
        remove_path(wanted.partial)
        remove_path(wanted.old)
        return record

    def _drop(self, key: str, record: dict[str, dict[str, Any]]) -> None:
        """Remove a release that nothing stands on; files of others stay beside."""
        tree = f"{self.wanted.folder}/{key}"
        if os.path.isdir(tree) and not os.path.islink(tree):
            self._put_aside(tree, strangers(tree, record[key])[0])
            os.rename(tree, self.wanted.old)
            remove_path(self.wanted.old)
        del record[key]
        self._write(record)

    def act(self, plan: Plan, observed: Observed) -> dict[str, dict[str, Any]]:
        """Do what the plan says and return the record; no other run may be at work (see lock).

        Raises:
            Failure: a step failed.
            OSError: a file could not be written.

        """
        wanted, record, release = self.wanted, dict(observed.record), plan.release
        for path in plan.leftovers:
            remove_path(path)
        if release and plan.action in ("create", "repair"):
            record = self._build(release, observed)
        elif release:
            tree = f"{wanted.folder}/{release.key}"
            self._put_aside(tree, list(plan.aside))
            for path in observed.bytecode:
                os.unlink(f"{tree}/{path}")
            if observed.touched:
                entry = record[release.key]
                record[release.key] = {**entry, "stat": make_entry(tree, tree, release, entry["files"], {})["stat"]}
                self._write(record)
        for key in plan.spare:
            self._drop(key, record)
        with contextlib.suppress(OSError):
            os.rmdir(wanted.folder)  # only where nothing is left in it
        return record
