#!/usr/bin/env python3
"""What bootstrap needs a Python for before there is an environment: any from 3.7 on, its standard library alone.

stage_zero.py settings LANGUAGE     write the package index, certificates and proxies that the user has set, from
                                    variables and pip's files, as lines of shell for uv; name what cannot work
stage_zero.py uv LANGUAGE FILE      fetch the locked uv from that index, verify it, write its program to FILE; status 3
                                    where no index is set and no pip is there to say which one it asks
"""

from __future__ import annotations

import hashlib
import html.parser
import io
import os
import platform
import re
import shlex
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "control.txt"
sys.path.insert(0, str(ROOT / "module_utils"))
from chatglm.core import addresses, network_environment
from chatglm.core.failure import Failure
from chatglm.language import translations
from chatglm.virtualenv import pip_config

PIP_WHEELS = (Path(os.__file__).with_name("ensurepip") / "_bundled", Path("/usr/share/python-wheels"))
TIMEOUT_S = 60
NO_INDEX_KNOWN = 3


def say(language: str, english: str, chinese: str) -> None:
    """Write a line for the user to standard error."""
    text = f"bootstrap: {chinese if language == 'zh' else english}\n"
    os.write(2, text.encode("utf-8", "replace"))


def settings(environ: dict[str, str]) -> dict[str, str]:
    """Return the variables that uv and this file's own fetching are to have; "" for one that goes.

    Raises:
        Failure: a configuration file of pip cannot be read.

    """
    pip = pip_config.read(environ)
    links = pip.find_links or tuple(filter(None, environ.get("UV_FIND_LINKS", "").split(",")))
    more = " ".join(pip.extra_index_urls) or environ.get("UV_INDEX") or environ.get("UV_EXTRA_INDEX_URL") or ""
    wanted = {
        "UV_DEFAULT_INDEX": pip.index_url or environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL") or "",
        "UV_INDEX_URL": "",
        "UV_INDEX": more,
        "UV_EXTRA_INDEX_URL": "",
        # As pip looks at them: all on one footing. The digests decide what is accepted.
        "UV_INDEX_STRATEGY": "unsafe-best-match" if more else "",
        "UV_FIND_LINKS": ",".join(link.replace(",", "%2C") for link in links),
        "no_index": "--no-index" if pip.no_index else "",
        "UV_INSECURE_HOST": " ".join(pip.trusted_hosts) or environ.get("UV_INSECURE_HOST") or "",
        "UV_SYSTEM_CERTS": "1",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    if pip.proxy:
        wanted.update({"PIP_PROXY": pip.proxy, "http_proxy": pip.proxy, "https_proxy": pip.proxy})
    # The authorities of a company: uv takes those of this variable, else the system's.
    own = pip.cert or environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
    if own and not environ.get("SSL_CERT_FILE"):
        wanted["SSL_CERT_DIR" if os.path.isdir(own) else "SSL_CERT_FILE"] = own
    everything = {**environ, **wanted}
    right = network_environment.put_right(everything, direct=True)
    return {name: right.get(name, "") for name in wanted.keys() | set(network_environment.VARIABLES)}


class Links(html.parser.HTMLParser):
    """The addresses of the links of a page."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a link's address."""
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def opener(environ: dict[str, str], checked: bool) -> urllib.request.OpenerDirector:
    """Return what fetches addresses, with the user's certificates and proxies."""
    context = ssl.create_default_context()
    if not environ.get("SSL_CERT_FILE") and os.access(network_environment.SYSTEM_STORE, os.R_OK):
        # A Python that was not built here looks for the system's elsewhere.
        context.load_verify_locations(network_environment.SYSTEM_STORE)
    if not checked:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))


def fetch(environ: dict[str, str], address: str) -> bytes:
    """Return what an address or a file holds."""
    if "://" not in address:
        return Path(address).read_bytes()
    plain, header = addresses.without_password(address)
    request = urllib.request.Request(plain, headers={"Accept": "text/html, */*"})
    if header:
        request.add_header(*header.split(": ", 1))
    parts = urllib.parse.urlsplit(plain)
    trusted = {parts.hostname, parts.netloc} & set(environ.get("UV_INSECURE_HOST", "").split())
    with opener(environ, not trusted).open(request, timeout=TIMEOUT_S) as answer:
        content: bytes = answer.read()
    return content


def wanted_wheel() -> tuple[str, set[str]]:
    """Return the locked version of uv, and the digests of its files."""
    text = LOCK.read_text(encoding="utf-8")
    entry = re.search(r"(?m)^uv==([0-9.]+)((?:[ \\\n]|--hash=sha256:[0-9a-f]{64})+)", text)
    assert entry
    return entry[1], set(re.findall(r"sha256:([0-9a-f]{64})", entry[2]))


def suits(name: str, version: str) -> bool:
    """Tell whether a file is uv's wheel for this machine."""
    musl = platform.libc_ver()[0] != "glibc"
    system = "musllinux" if musl else "manylinux"
    return bool(
        re.match(rf"uv-{re.escape(version)}-py3-none-(?:[\w.]*)({system}|linux)\w*_{platform.machine()}\.whl$", name)
    )


def index_of_pip() -> str:
    """Return the index that pip asks by itself, as this Python's or the distribution's pip says; "" without one."""
    wheels = [str(wheel) for folder in PIP_WHEELS for wheel in sorted(folder.glob("pip-*.whl"), reverse=True)]
    for wheel in ["", *wheels]:
        ask = "import sys; sys.path[:0] = sys.argv[1:]; "
        ask += "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
        command = [sys.executable, "-I", "-B", "-c", ask, *([wheel] if wheel else [])]
        said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        if said.strip():
            return said.decode().strip()
    return ""


def places(environ: dict[str, str]) -> list[str]:
    """Return the pages and folders that list packages, in the order in which they are asked."""
    found = [link.replace("%2C", ",") for link in environ.get("UV_FIND_LINKS", "").split(",") if link]
    if not environ.get("no_index"):
        # An index of uv's may have a name of its own before it.
        more = [re.sub(r"^[\w.-]+=", "", index) for index in environ.get("UV_INDEX", "").split()]
        found += [f"{index.rstrip('/')}/uv/" for index in (environ["UV_DEFAULT_INDEX"], *more) if index]
    return found


def candidates(environ: dict[str, str], place: str, version: str) -> list[str]:
    """Return where a place has uv's wheel for this machine."""
    folder = urllib.parse.unquote(place[len("file://") :]) if place.startswith("file://") else place
    if "://" not in folder:
        if not os.path.isdir(folder):
            return []
        if not os.path.isfile(f"{folder}/index.html"):
            return [f"{folder}/{name}" for name in sorted(os.listdir(folder)) if suits(name, version)]
        place = Path(folder).resolve().as_uri() + "/"
        page = Path(folder, "index.html").read_bytes()
    else:
        page = fetch(environ, place)
    links = Links()
    links.feed(page.decode("utf-8", "replace"))
    found = []
    for link in links.found:
        address = urllib.parse.urljoin(place, link).partition("#")[0]
        if suits(urllib.parse.unquote(address.rpartition("/")[2]), version):
            found.append(address)
    return found


def fetch_uv(environ: dict[str, str], target: Path) -> list[tuple[str, str]]:
    """Write uv's program to a file, taken from the wheel that the lock names.

    Returns:
        Nothing when it is there; else why each place did not give it, in English and Chinese.

    """
    version, digests = wanted_wheel()
    asked = places(environ)
    reasons = [] if asked else [("no index and no folder to ask", "没有可以访问的索引或目录")]
    for place in asked:
        shown = network_environment.masked(place)
        reason = (f"no uv {version} for {platform.machine()}", f"没有适合 {platform.machine()} 的 uv {version}")
        try:
            for address in candidates(environ, place, version):
                content = fetch(environ, address)
                if hashlib.sha256(content).hexdigest() not in digests:
                    reason = ("not the file that the lock names", "不是锁定的那个文件")
                    continue
                with zipfile.ZipFile(io.BytesIO(content)) as wheel:
                    name = next(name for name in wheel.namelist() if name.endswith(".data/scripts/uv"))
                    part = target.with_name(f"{target.name}.part")
                    part.write_bytes(wheel.read(name))
                part.chmod(0o755)
                os.replace(part, target)
                return []
        except (OSError, ValueError) as error:
            reason = (network_environment.masked(str(getattr(error, "reason", error))),) * 2
        reasons.append((f"{shown}: {reason[0]}", f"{shown}：{reason[1]}"))
    return reasons


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return the exit status."""
    what, language = arguments[:2]
    environ = dict(os.environ)
    if what == "uv":
        environ["UV_DEFAULT_INDEX"] = environ.get("UV_DEFAULT_INDEX") or index_of_pip()
        reasons = fetch_uv(environ, Path(arguments[2]))
        for english, chinese in reasons:
            say(language, english, chinese)
        known = environ["UV_DEFAULT_INDEX"] or environ.get("no_index")
        return 0 if not reasons else 1 if known else NO_INDEX_KNOWN
    try:
        wanted = settings(environ)
    except Failure as failure:
        say(language, str(failure), translations.failure(str(failure)))
        return 1
    named = network_environment.name_all(environ, language)
    lines = [f"named={'yes' if named else ''}"]
    lines += [f"export {name}={shlex.quote(value)}" if value else f"unset {name}" for name, value in wanted.items()]
    os.write(1, os.fsencode("".join(f"{line}\n" for line in sorted(lines))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
