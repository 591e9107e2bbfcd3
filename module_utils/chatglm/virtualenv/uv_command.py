"""The work on a virtualenv, done by uv: build aside and swap, or repair in place; what uv's errors mean."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..core import progress
from ..core.addresses import masked
from ..core.failure import Failure
from ..core.files import put_aside, write_atomic, write_json
from ..core.network_environment import past_loopback
from ..core.network_remedy import remedy as of_fetching
from ..core.processes import die_with_parent, isolated
from .pip_config import PipConfig
from .python_env import (
    CACHE_MARK,
    STAMP,
    Interpreter,
    Observed,
    Plan,
    Wanted,
    claims,
    distributions,
    installed_bytes,
    invalidate,
    make_stamp,
    planned,
    probe,
    read_records,
    renewed,
    site_packages,
    strangers,
    unremovable,
    verify_installed,
)
from .requirements import Pin

# Passed on to uv; everything else (UV_*, PYTHON*, VIRTUAL_ENV, ...) could change what it does.
_PASSED = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_IMPORTER = """
import importlib, json, sys, traceback
result = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        result[name] = f"{type(error).__name__}: {error} (at {frames[-1].filename}:{frames[-1].lineno})"
print("\\nIMPORTS " + json.dumps(result))
"""


@dataclass(frozen=True)
class Sources:
    """Where packages come from, settings of the role and of the host's pip taken together.

    Attributes:
        index_url: the package index; empty for uv's default, the Python Package Index.
        extra_index_urls: further indexes.
        find_links: folders or pages with distribution files.
        torch_index_url: index of torch builds that are not on the package index; empty to ask none.
        no_index: ask no index at all.
        ca_bundle: PEM file of further certificate authorities.
        proxy: proxy URL for both protocols.
        trusted_hosts: hosts whose certificate is not checked.

    """

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    torch_index_url: str = ""
    no_index: bool = False
    ca_bundle: str = ""
    proxy: str = ""
    trusted_hosts: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What the work came to: the new stamp, what uv wrote to stderr (credentials masked), bytes that it installed."""

    stamp: dict[str, Any]
    stderr: str = ""
    installed: int = 0
    warnings: list[str] = field(default_factory=list)


def choose_sources(
    pip: PipConfig, index_url: str, find_links: Iterable[str], torch_index_url: str, ca_bundle: str
) -> Sources:
    """Return the sources: what is set here wins over the host's pip configuration, setting by setting."""
    return Sources(
        index_url=index_url or pip.index_url,
        extra_index_urls=() if index_url else pip.extra_index_urls,
        find_links=tuple(find_links) or pip.find_links,
        torch_index_url=torch_index_url.rstrip("/"),
        no_index=pip.no_index and not index_url,
        ca_bundle=ca_bundle or pip.cert,
        proxy=pip.proxy,
        trusted_hosts=pip.trusted_hosts,
    )


def holds_wheel(folders: Iterable[str], pin: Pin, minor: str) -> bool:
    """Tell whether a local folder among ``folders`` has a wheel of the pin for this Python."""
    own = "cp" + minor.replace(".", "")
    start = re.sub(r"[-_.]+", "_", pin.name)
    pattern = re.compile(
        rf"{re.escape(start)}-{re.escape(pin.version)}(-\d[^-]*)?-({own}|py3|py2\.py3|cp3\d+-abi3)[-.]", re.IGNORECASE
    )
    for folder in folders:
        with contextlib.suppress(OSError):
            if any(
                pattern.match(name.replace("%2B", "+")) for name in os.listdir(unquote(folder.removeprefix("file://")))
            ):
                return True
    return False


def locations(sources: Sources, pins: Iterable[Pin], minor: str) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the environment that tell uv where to look.

    Places go into the environment: they may carry credentials, and arguments are open to all users of a host.
    A build such as 2.13.0+cpu is not on the package index: the page of torch's own index that lists it is asked for it
    and for nothing else, and only if no local folder has the wheel.
    """
    folders = [item for item in sources.find_links if "://" not in item or item.startswith("file://")]
    places = [Path(item).as_uri() if os.path.isabs(item) else item for item in sources.find_links]
    if sources.torch_index_url:
        for pin in pins:
            if "+" in pin.version and not holds_wheel(folders, pin, minor):
                places.append(f"{sources.torch_index_url}/{pin.name}/")
    arguments: list[str] = []
    environment = {}
    if places:
        # Not as arguments even where they are no secret: one --find-links makes uv ignore the variable.
        environment["UV_FIND_LINKS"] = ",".join(place.replace(",", "%2C") for place in places)
    if sources.no_index:
        arguments.append("--no-index")
    else:
        if sources.index_url:
            environment["UV_DEFAULT_INDEX"] = sources.index_url
        if sources.extra_index_urls:
            environment["UV_INDEX"] = " ".join(sources.extra_index_urls)
            # As pip looks at them: all on one footing. The digests decide what is accepted.
            environment["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if sources.trusted_hosts:
        environment["UV_INSECURE_HOST"] = " ".join(sources.trusted_hosts)
    return arguments, environment


def bare_environment(environ: Mapping[str, str], proxy: str, cache_dir: str) -> dict[str, str]:
    """Return what every uv command gets of the environment, and what keeps it from looking elsewhere."""
    environment = {name: environ[name] for name in _PASSED if environ.get(name)}
    for name in _PROXIES:
        for form in (name, name.upper()):
            if environ.get(form):
                environment[form] = environ[form]
    if proxy:
        environment.update({"http_proxy": proxy, "https_proxy": proxy})
    environment.update(past_loopback(environ))
    environment.update(
        LC_ALL="C",
        UV_NO_CONFIG="1",
        UV_NO_PROGRESS="1",
        UV_SYSTEM_CERTS="1",
        # uv starts the environment's Python to look at it, with -I, but with its .pth: setuptools' runs what is then
        # bytecode that nobody has looked at, unless told so.
        SETUPTOOLS_USE_DISTUTILS="stdlib",
        UV_CACHE_DIR=cache_dir,
    )
    return environment


def base_environment(environ: Mapping[str, str], sources: Sources, wanted: Wanted) -> dict[str, str]:
    """Return the environment that uv runs in, but for its sources."""
    environment = bare_environment(environ, sources.proxy, wanted.cache_dir)
    # With hard links, an edit in the environment would reach into a cache that stays.
    environment.update(UV_PYTHON_DOWNLOADS="never", UV_LINK_MODE="hardlink" if cache_goes(wanted) else "copy")
    return environment


def cache_goes(wanted: Wanted) -> bool:
    """Tell whether the cache is removed after the work: only one that this project made, and only if not to be kept."""
    return not wanted.keep_cache and (
        os.path.isfile(f"{wanted.cache_dir}/{CACHE_MARK}") or not os.path.lexists(wanted.cache_dir)
    )


def certificates(ca_bundle: str, environ: Mapping[str, str]) -> bytes:
    """Return the system's certificate authorities and those of ``ca_bundle`` as one PEM text.

    Raises:
        Failure: ``ca_bundle`` cannot be read or holds no certificate.

    """
    try:
        own = Path(ca_bundle).read_bytes()
    except OSError as error:
        own, reason = b"", error.strerror
    else:
        reason = "no certificate in it"
    if b"-----BEGIN CERTIFICATE-----" not in own:
        raise Failure(
            f"CA bundle {ca_bundle} ({reason})",
            "a PEM file on the host",
            "correct chatglm_ca_bundle (or cert in the host's pip configuration)",
        )
    defaults = ssl.get_default_verify_paths()
    for path in (environ.get("SSL_CERT_FILE"), defaults.cafile, "/etc/ssl/certs/ca-certificates.crt"):
        with contextlib.suppress(OSError):
            if path:
                return Path(path).read_bytes() + b"\n" + own
    return own


_UNKNOWN = "uv failed"
_UNREACHED = "a package source that cannot be reached"
# The first pattern that uv's stderr matches names the cause.
_CAUSES: tuple[tuple[str, str, str, str], ...] = (
    (
        r"No space left on device|os error 28\b|Disk quota exceeded",
        "a full disk",
        "room for the environment: about 1.2 GB with torch's CPU build, 7 GB with a CUDA build",
        "make room under chatglm_home, then run again",
    ),
    (
        # Read while it is unpacked, so what is no zip file, or a damaged one, shows before its hash does.
        r"Hash mismatch|unexpected header|Bad CRC|Bad (un)?compressed size|corrupt deflate",
        "a package whose content differs from the lock",
        "the files that the lock names",
        "run again in case a proxy or mirror damaged it; if it stays, distrust that index: set virtualenv_index_url",
    ),
    (
        r"invalid peer certificate|UnknownIssuer|certificate verify|CertificateRequired|tls handshake",
        "a server certificate that this host does not trust",
        "one signed by a known authority",
        "name your company's authority with chatglm_ca_bundle (a PEM file on the host)",
    ),
    (
        r"\b40[137]\b.{0,40}(Unauthorized|Forbidden|Proxy)|status code.{0,12}40[137]",
        "an index that refuses access",
        "an index that is open, or credentials that it takes",
        "put user and password into virtualenv_index_url (from a vault), or choose another index",
    ),
    (
        r"has no wheels with a matching|no wheels? (is|are) available|no usable wheels|has no `?wheel",
        "no wheel of a locked package for this Python and processor",
        "a wheel in the index or in a find-links folder",
        "choose another Python with virtualenv_python, or put the wheel into a folder named by virtualenv_find_links",
    ),
    (
        r"there is no version of|not found in the (package registry|provided package locations)|was not found in",
        "a locked package that no source has",
        "all locked packages in the index or in a find-links folder",
        "use a complete index or mirror (virtualenv_index_url), or add its wheel (virtualenv_find_links)",
    ),
    (
        r"Missing `?Content-Type|Unsupported `?Content-Type",
        "an address that answers, but not as a package index",
        "a package index, and no page of a proxy or of a network that wants a login",
        "check virtualenv_index_url and virtualenv_torch_index_url; log in to the network first, if it asks for it",
    ),
    (
        r"dns error|tcp connect error|Connection re|timed out|operation timed|error sending request|Failed to fetch"
        r"|Failed to read `--find-links` URL|network|error decoding response|5\d\d .*Server|Failed to download",
        _UNREACHED,
        "a working connection to it",
        "check network and proxy, or set virtualenv_index_url (in China a mirror) and virtualenv_torch_index_url",
    ),
    (
        r"No solution found|conflict|unsatisfiable",
        "locked packages that exclude each other",
        "locks that were made together",
        "regenerate them with roles/virtualenv/files/relock",
    ),
    (
        r"Permission denied|os error 13\b|Read-only file system",
        "a folder that may not be written",
        "chatglm_home owned by the user who runs this",
        "correct its owner (a run with sudo may have left files of root)",
    ),
)


def explain(stderr: str, doing: str) -> Failure:
    """Return the failure that uv's stderr speaks of.

    Args:
        stderr: all that uv wrote.
        doing: what was going on, for the first part of the message.

    """
    text = masked(stderr)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"error|cause|hint|×|├|╰|Caused by", line)]
    last = " / ".join(line[:300] for line in (told[:1] + told[1:][-1:])) or (lines[-1][:300] if lines else "no output")
    urls = re.findall(r"https?://[^\s`')]+", text)
    for pattern, found, expected, usual in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            remedy = of_fetching(text, usual, "uv", urls[0] if urls else "") if found == _UNREACHED else usual
            if urls and urls[0] not in last:
                return Failure(f"{found} ({urls[0]}) while {doing}: {last}", expected, remedy)
            return Failure(f"{found} while {doing}: {last}", expected, remedy)
    return Failure(
        f"uv failed while {doing}: {last}", "a finished installation", "see stderr in the result, then run again"
    )


def run_uv(
    command: list[str],
    environment: Mapping[str, str],
    timeout: float,
    doing: str,
    *,
    stdin: str = "",
    look: Callable[[int], None] = lambda _pid: None,
) -> tuple[int, str, str]:
    """Run uv and return its exit status, stdout and stderr; it dies with this process.

    Args:
        command: path of uv and its arguments.
        environment: all of its environment.
        timeout: seconds that it may take.
        doing: what is going on, for messages.
        stdin: text that it reads.
        look: called now and then with its process id, to tell the progress.

    Raises:
        Failure: it cannot be run, or is not done in time.

    """
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
            cwd="/",
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - no other thread yet; an orphan would go on writing
        ) as child:
            try:
                with progress.watched(lambda: look(child.pid)):
                    output, told = child.communicate(stdin, timeout=timeout)
            except BaseException:
                child.kill()
                raise
    except subprocess.TimeoutExpired as error:
        raise Failure(
            f"uv still at work after {timeout:.0f} s while {doing}",
            "an end within that time",
            "run again: what was fetched is kept; raise virtualenv_timeout on a slow line",
        ) from error
    except OSError as error:
        raise Failure(
            f"{command[0]} cannot be run ({error.strerror})",
            "a uv binary for this host's processor",
            "name one on the host with virtualenv_uv (https://docs.astral.sh/uv)",
        ) from error
    return child.returncode, output, told


class Workshop:
    """Runs uv for one environment and does what a plan says.

    Args:
        wanted: what the environment should be.
        uv: path of the uv binary.
        sources: where packages come from.
        environ: the process environment.
        timeout: seconds that one uv command may take.

    """

    def __init__(
        self, wanted: Wanted, uv: str, sources: Sources, environ: Mapping[str, str], timeout: float = 7200
    ) -> None:
        """Keep the settings; nothing is run or written."""
        self.wanted = wanted
        self.uv = uv
        self.sources = sources
        self.environ = environ
        self.timeout = timeout
        self.stderr = ""
        self.kept: list[str] = []

    def _run(
        self,
        arguments: list[str],
        doing: str,
        extra: Mapping[str, str] | None = None,
        stdin: str = "",
        look: Callable[[int], None] = lambda _pid: None,
    ) -> str:
        environment = {**base_environment(self.environ, self.sources, self.wanted), **(extra or {})}
        if self.sources.ca_bundle:
            bundle = f"{self.wanted.cache_dir}/ca-bundle.pem"
            write_atomic(bundle, certificates(self.sources.ca_bundle, self.environ))
            environment["SSL_CERT_FILE"] = bundle
        status, output, told = run_uv([self.uv, *arguments], environment, self.timeout, doing, stdin=stdin, look=look)
        # uv's list of every package says nothing that the plan does not.
        self.stderr += re.sub(r"(?m)^ (\+|-|~| *Downloaded) .*\n|^Downloading .*\n", "", masked(told))
        if status:
            failure = explain(told or output, doing)
            if failure.found.startswith(_UNKNOWN):
                # It may be the cache that is at fault (a power cut); the next run shall not meet the same one.
                self._drop_cache()
            raise failure
        return output

    def _make_cache(self) -> None:
        cache = Path(self.wanted.cache_dir)
        if not os.path.lexists(cache):
            cache.mkdir(parents=True)
            if not self.wanted.keep_cache:
                (cache / CACHE_MARK).touch()

    def _drop_cache(self) -> None:
        if os.path.isdir(self.wanted.cache_dir) and cache_goes(self.wanted):
            # Under another name first: half a cache must never be taken for a whole one.
            remove_path(self.wanted.old_cache)
            os.rename(self.wanted.cache_dir, self.wanted.old_cache)
            remove_path(self.wanted.old_cache)

    def _install(self, folder: str, minor: str, pins: list[Pin], reinstall: bool) -> None:
        # One exact list without dependencies: the locks are complete, and a repair must touch nothing else.
        where, environment = locations(self.sources, pins, minor)
        command = ["pip", "install", "--python", f"{folder}/bin/python", "--require-hashes", "--no-deps"]
        command += ["--only-binary", ":all:", *(["--reinstall"] if reinstall else []), *where, "-r", "-"]
        site = site_packages(folder, minor)
        before = len(distributions(site))

        def look(pid: int) -> None:
            """Tell what uv, which says nothing while it works, has unpacked in its cache, then put into its place."""
            placed = len(distributions(site)) - before
            with contextlib.suppress(OSError):
                fetched = len(os.listdir(f"{self.wanted.cache_dir}/archive-v0"))
            stage, done = ("place", placed) if placed > 0 else ("packages", fetched)
            written = progress.of_process(pid, "io", "wchar")
            progress.tell(stage, "", min(done, len(pins)), len(pins), items=1, written=written)

        lines = "".join(f"{pin.requirement()}\n" for pin in pins)
        self._run(command, f"installing {len(pins)} packages", environment, lines, look)

    def _second_round(self, folder: str, interpreter: Interpreter, pins: dict[str, Pin]) -> None:
        """Read every file, and install again what is not as it should be.

        Two causes are no one's fault: a file that two distributions share went with the one that was removed; and an
        interrupted run left a cache whose files are linked to ones that were edited since.

        Raises:
            Failure: the second installation is no better than the first.

        """
        faulty = [pins[name] for name in verify_installed(folder, interpreter.minor, pins)]
        if not faulty:
            return
        self._drop_cache()
        self._make_cache()
        self._install(folder, interpreter.minor, faulty, reinstall=True)
        faults = verify_installed(folder, interpreter.minor, pins)
        if faults:
            name, fault = next(iter(faults.items()))
            raise Failure(
                f"{len(faults)} faulty packages after two installations, {name}: {fault}",
                "files as in the packages' own lists",
                "check disk and memory (dmesg), then run again",
            )

    def _prove(self, folder: str, pins: dict[str, Pin]) -> None:
        """Check that the packages fit together and import.

        Raises:
            Failure: they do not.

        """
        self._check_together(folder, pins)
        self._check_imports(folder)

    def _check_together(self, folder: str, pins: dict[str, Pin]) -> None:
        try:
            self._run(["pip", "check", "--python", f"{folder}/bin/python"], "checking dependencies")
        except Failure as failure:
            # What the user added may be at odds with the locks; that is theirs. The locks themselves must agree.
            complaints = re.findall(r"The package `([^`]+)` .*", self.stderr)
            own = [name for name in complaints if name.lower() in pins]
            if complaints and not own:
                return
            raise Failure(
                f"locked packages that do not fit together ({', '.join(own) or failure.found})",
                "locks that were made together",
                "regenerate them with roles/virtualenv/files/relock",
            ) from failure

    def _check_imports(self, folder: str) -> None:
        names = list(self.wanted.imports)
        if not names:
            return
        environment = {name: self.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in self.environ}
        environment.update(LC_ALL="C.UTF-8", HF_HUB_OFFLINE="1", GRADIO_ANALYTICS_ENABLED="False")
        # Some write there as soon as they are imported.
        environment.update(HF_HOME=f"{self.wanted.cache_dir}/huggingface", XDG_CACHE_HOME=self.wanted.cache_dir)
        command = isolated(f"{folder}/bin/python", "-c", _IMPORTER, *names)
        progress.tell("import")
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=600,
                env=environment,
                cwd="/",
                check=False,
                preexec_fn=die_with_parent(),
            )
        except subprocess.TimeoutExpired as error:
            raise Failure(
                f"importing {', '.join(names)} takes more than 600 s", "seconds", "check the host's load and memory"
            ) from error
        found = re.search(r"^IMPORTS (.*)$", done.stdout, re.MULTILINE)
        if not found:
            ends = f"signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
            told = (done.stderr.strip().splitlines() or [""])[-1]
            raise Failure(
                f"the import of {', '.join(names)} ended with {ends}: {told}",
                "an import without error",
                "check the host's memory (dmesg), then run again",
            )
        failed = json.loads(found[1])
        if failed:
            name, reason = next(iter(failed.items()))
            raise Failure(
                f"import {name} fails with {reason}",
                "every package to import: " + ", ".join(names),
                "install the system library that the message names, then run again",
            )

    def create(self, plan: Plan, observed: Observed) -> dict[str, Any]:
        """Build the environment aside, prove it, and put it in place.

        Raises:
            Failure: a step failed; the old environment, if any, is as it was.

        """
        wanted = self.wanted
        for leftover in (wanted.partial, wanted.old):
            remove_path(leftover)
        if (
            observed.state == "unusable"
            and observed.interpreter is None
            and not os.path.exists(f"{wanted.path}/bin/python")
        ):
            # Nothing in it can run any more, so its room is worth more than its presence. Aside first: half of it, as
            # after a kill, would be taken for somebody's folder.
            self._keep_strangers()
            os.rename(wanted.path, wanted.old)
            remove_path(wanted.old)
        try:
            stamp = self._build(plan)
        except BaseException:
            remove_path(wanted.partial)
            raise
        self._keep_strangers()  # not before the new one is there: a build that fails moves nothing
        if os.path.lexists(wanted.path):
            os.rename(wanted.path, wanted.old)
        os.rename(wanted.partial, wanted.path)
        remove_path(wanted.old)
        return stamp

    def _put_aside(self, paths: Iterable[str]) -> None:
        """Move files out of the environment, to where the user finds them again; ``paths`` are relative to it."""
        for path in paths:  # one by one: what was moved is known on every way out
            self.kept.append(put_aside(self.wanted.path, path, self.wanted.kept))

    def _keep_strangers(self) -> None:
        """Put the user's files aside, for the environment is about to go."""
        path = self.wanted.path
        for lib in sorted(Path(path).glob("lib/python3*/site-packages")):
            self._put_aside(strangers(path, str(lib), claims(read_records(str(lib), distributions(str(lib))))))

    def _build(self, plan: Plan) -> dict[str, Any]:
        wanted = self.wanted
        options = ["--no-project", "--relocatable", "--prompt", os.path.basename(wanted.path)]
        self._run(["venv", *options, "--python", wanted.python, wanted.partial], "creating the environment")
        try:
            interpreter = probe(f"{wanted.partial}/bin/python")
        except OSError as error:
            # It finds its library by where it stands, and a link to it stands elsewhere.
            raise Failure(
                f"{wanted.python} runs, but not in a virtualenv",
                "a Python that finds its library from there; one that is reached by a link may not",
                f"name the file itself (readlink -f {wanted.python}) with preflight_python, or take uv's: "
                "-e virtualenv_python_source=managed",
            ) from error
        pins = {pin.name: pin for pin in plan.install}
        self._install(wanted.partial, interpreter.minor, plan.install, reinstall=False)
        self._second_round(wanted.partial, interpreter, pins)
        return self._stamp(wanted.partial, interpreter, pins)

    def repair(self, plan: Plan, observed: Observed) -> dict[str, Any]:
        """Mend the environment in place; its stamp is invalid until all of it is proven.

        Raises:
            Failure: a step failed; the next run begins from what is then there.

        """
        wanted, interpreter, path = self.wanted, observed.interpreter, self.wanted.path
        assert interpreter is not None
        pins = observed.pins or planned(wanted)[1]
        again = [pin for pin, _ in plan.reinstall]
        acted = [pin.name for pin in [*plan.install, *again]] + [name for name, _ in plan.remove]
        if acted or plan.restore_cfg:
            invalidate(path, observed.stamp, acted)
        # Before anything of the environment runs: uv asks its interpreter.
        site = os.path.relpath(site_packages(path, interpreter.minor), path)
        self._put_aside(f"{site}/{name}" for name in plan.aside)
        if plan.restore_cfg:
            write_atomic(f"{path}/pyvenv.cfg", observed.stamp["pyvenv"].encode())
        for folder in unremovable(site_packages(path, interpreter.minor), acted):
            remove_path(folder)
        # Not the other versions of a package: uv fetches and verifies all new ones before it takes out an old one, and
        # that is worth the disk (two CUDA builds of torch are more than 10 GB for a while).
        names = [name for name, _ in plan.remove]
        if names:
            self._run(["pip", "uninstall", "--python", f"{path}/bin/python", *names], f"removing {len(names)} packages")
        if again or plan.install:
            self._install(path, interpreter.minor, [*plan.install, *again], reinstall=True)
        if acted:
            self._second_round(path, interpreter, pins)
        return self._stamp(path, interpreter, pins)

    def _stamp(self, path: str, interpreter: Interpreter, pins: dict[str, Pin]) -> dict[str, Any]:
        """Prove an environment; write and return its stamp."""
        self._prove(path, pins)
        stamp = make_stamp(path, self.wanted, interpreter, pins)
        write_json(f"{path}/{STAMP}", stamp)
        return stamp

    def refreshed(self, plan: Plan, observed: Observed) -> dict[str, Any]:
        """Renew the stamp's times if the plan asks for it, and return the stamp.

        Raises:
            OSError: the stamp cannot be written.

        """
        if not plan.refresh or observed.interpreter is None:
            return observed.stamp
        stamp = make_stamp(self.wanted.path, self.wanted, observed.interpreter, observed.pins)
        write_json(f"{self.wanted.path}/{STAMP}", stamp)
        return stamp

    def act(self, plan: Plan, observed: Observed) -> Outcome:
        """Do what the plan says; no other run may be at work on the environment (see lock).

        Raises:
            Failure: a step failed.
            OSError: a file could not be written.

        """
        wanted = self.wanted
        Path(wanted.path).parent.mkdir(parents=True, exist_ok=True)
        if plan.action == "clean":
            stamp = self.refreshed(plan, observed)
        else:
            self._make_cache()
            stamp = (self.create if plan.action in ("create", "rebuild") else self.repair)(plan, observed)
        for leftover in (wanted.partial, wanted.old, wanted.old_cache):
            remove_path(leftover)
        self._drop_cache()
        # The files may have lost their second names in a cache, which counts as a change of their status.
        stamp = renewed(wanted.path, stamp)
        write_json(f"{wanted.path}/{STAMP}", stamp)
        with contextlib.suppress(OSError):
            os.chmod(f"{wanted.path}/.lock", 0o644)  # uv lets everybody write it
        minor = ".".join(stamp["version"].split(".")[:2])
        names = [pin.name for pin in plan.install] + [pin.name for pin, _ in plan.reinstall]
        return Outcome(stamp, self.stderr, installed_bytes(wanted.path, minor, names))


def remove_path(path: str) -> None:
    """Remove a folder or file of our own making, if it is there."""
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    elif os.path.isdir(path):
        shutil.rmtree(path)
