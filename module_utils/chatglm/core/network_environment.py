"""Network variables that cannot work: what is wrong with each, the line that mends it, the environment put right.

What the clients do with them was seen with httpx 0.28, requests 2.34, pip and uv: httpx stops at any SOCKS proxy, at an
address without a host or port that it can read, and at some entries of no_proxy; requests and pip know no SOCKS and
need the files that variables name for certificates; urllib takes no notice of all_proxy.

Runs alone as well (``python3 -I -S network_environment.py LANGUAGE``, for bootstrap), on any Python from 3.6: it names
the problems on standard error, and its exit status is 1 when there are any.
"""

import os
import re
import shlex
import sys
from typing import Callable, Mapping, NamedTuple  # noqa: UP035
from urllib.parse import quote, urlsplit

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO")
FOLDERS = ("SSL_CERT_DIR", "GIT_SSL_CAPATH")
SYSTEM_STORE = "/etc/ssl/certs/ca-certificates.crt"
VARIABLES = (
    *(form for name in (*PROXIES, "no_proxy") for form in (name, name.upper())),
    "PIP_PROXY",
    *CERTIFICATES,
    *FOLDERS,
)
"""All that is looked at."""

FOLDER = b"/"
"""What stands for the content of a folder."""
Read = Callable[[str], "bytes | None"]
_PEM = re.compile(rb"-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----")
_STRAY = " \t\r\n'\"\u201c\u201d\u2018\u2019"

TEXTS = {
    # code: found, expected; English and Chinese
    "proxy_socks": (
        ("{names} is {value}, a SOCKS proxy, and no other proxy is set", "{names} 是 SOCKS 代理 {value}，没有别的代理"),
        (
            "an HTTP proxy: pip and Python's other clients know no SOCKS (a mixed port, as of Clash, speaks both)",
            "HTTP 代理：pip 和 Python 的其他客户端不认 SOCKS（Clash 等的混合端口两种都认）",
        ),
    ),
    "proxy_socks_beside": (
        ("{names} is {value}, a SOCKS proxy beside an HTTP one", "{names} 是 SOCKS 代理 {value}，另外已有 HTTP 代理"),
        ("the HTTP proxy alone: some clients stop at the other", "只用 HTTP 代理：有的客户端遇到 SOCKS 就停下"),
    ),
    "proxy_scheme": (
        ("{names} is {value}, which no client knows", "{names} 是 {value}，没有客户端认得"),
        ("http://HOST:PORT, or no such variable", "http://主机:端口，或者没有这个变量"),
    ),
    "proxy_address": (
        ("{names} is {value}, which is no address", "{names} 是 {value}，不是地址"),
        ("http://HOST:PORT, or no such variable", "http://主机:端口，或者没有这个变量"),
    ),
    "proxy_password": (
        ("{names} is {value}, with # / or ? in its password", "{names} 是 {value}，密码里有 #、/ 或 ?"),
        ("these characters as %23, %2F and %3F", "这些字符写成 %23、%2F 和 %3F"),
    ),
    "proxy_stray": (
        ("{names} is {value}, with blanks or quotes in it", "{names} 是 {value}，里面有空白或引号"),
        ("the address alone", "只有地址本身"),
    ),
    "proxy_no_scheme": (
        ("{names} is {value}, without http://", "{names} 是 {value}，没有 http://"),
        ("an address with its scheme", "带协议的地址"),
    ),
    "no_proxy_entry": (
        ("{names} is {value}; httpx stops at {entries}", "{names} 是 {value}；httpx 停在 {entries}"),
        (
            "names and addresses, a comma between; IPv6 without brackets",
            "用逗号隔开的名字和地址；IPv6 不带方括号",
        ),
    ),
    "certificate_missing": (
        ("{names} is {value}, which cannot be read", "{names} 是 {value}，读不了"),
        ("a PEM file of certificate authorities, or no such variable", "证书颁发机构的 PEM 文件，或者没有这个变量"),
    ),
    "certificate_not_pem": (
        ("{names} is {value}, which holds no certificate", "{names} 是 {value}，里面没有证书"),
        ("a PEM file of certificate authorities, or no such variable", "证书颁发机构的 PEM 文件，或者没有这个变量"),
    ),
    "certificate_spelling": (
        ("{names} is {value}; the file is {file}", "{names} 是 {value}；文件其实是 {file}"),
        ("its whole path", "它的完整路径"),
    ),
    "certificate_folder": (
        ("{names} is {value}, which is no folder", "{names} 是 {value}，不是文件夹"),
        ("a folder of certificate authorities, or no such variable", "放证书颁发机构的文件夹，或者没有这个变量"),
    ),
}
LEAD = ("this network variable cannot work:", "这个网络变量用不了：")
LABELS = (("found", "expected", "to do"), ("发现", "应为", "处理"))


class Problem(NamedTuple):
    """A value that cannot work; variables with the same value are one problem.

    Attributes:
        code: short stable name, a key of TEXTS.
        variables: the names of the variables.
        value: what they hold, passwords masked.
        remedy: a line to paste into a shell, which mends it.
        safe: nothing is lost by what put_right does; False where the way out of this host becomes another one.
        repaired: what put_right makes of the value; None where the variable goes. May hold a password.
        details: what else the texts are filled with.

    """

    code: str
    variables: "tuple[str, ...]"
    value: str
    remedy: str
    safe: bool
    repaired: "str | None"
    details: "dict[str, str]"

    def said(self, language: str = "en") -> "tuple[str, str, str]":
        """Return found, expected and remedy in the language, "en" or "zh"."""
        one = 1 if language == "zh" else 0
        values = {"names": ", ".join(self.variables), "value": self.value}
        values.update(self.details)
        found, expected = (text[one] for text in TEXTS[self.code])
        return found.format(**values), expected.format(**values), self.remedy


def read_file(path: str) -> "bytes | None":
    """Return a file's content, FOLDER for a folder, None for what cannot be read."""
    if os.path.isdir(path):
        return FOLDER
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError):
        return None


def masked(text: str) -> str:
    """Return a text with user and password of an address masked, also of one that cannot be read."""
    head, at, host = text.rpartition("@")
    start = head[: head.index("//") + 2] if "//" in head else ""
    return start + "***@" + host if at else text


def problems(environ: "Mapping[str, str]", read: Read = read_file) -> "list[Problem]":
    """Return what cannot work in an environment, in the order of VARIABLES.

    Args:
        environ: variables by name; empty ones count as unset.
        read: returns what read_file does.

    """
    found = []  # type: list[Problem]
    for name in VARIABLES:
        value = environ.get(name, "")
        if not value:
            continue
        if name.lower() == "no_proxy":
            problem = _no_proxy(name, value)
        elif name.lower().endswith("_proxy"):
            problem = _proxy(name, value, environ)
        else:
            problem = (_certificate if name in CERTIFICATES else _folder)(name, value, environ, read)
        if problem:
            found.append(problem)
    return _joined(found)


def put_right(environ: "Mapping[str, str]", direct: bool = False, read: Read = read_file) -> "dict[str, str]":
    """Return the environment with what cannot work put right.

    Args:
        environ: variables by name.
        direct: also drop a proxy that nothing can use, so that what follows goes straight.
        read: as in problems().

    """
    right = dict(environ)
    for problem in problems(environ, read):
        if problem.safe or direct:
            for name in problem.variables:
                if problem.repaired is None:
                    del right[name]
                else:
                    right[name] = problem.repaired
    return right


def past_loopback(environ: "Mapping[str, str]") -> "dict[str, str]":
    """Return no_proxy in both forms, with this host's own addresses, which no proxy reaches, added."""
    given = (environ.get("no_proxy") or environ.get("NO_PROXY") or "").split(",")
    entries = [entry.strip() for entry in given if entry.strip()]
    # "*" means all where it stands alone only.
    value = "*" if "*" in entries else ",".join(dict.fromkeys([*entries, "127.0.0.1", "localhost", "::1"]))
    return {"no_proxy": value, "NO_PROXY": value}


def stopped(client: str, url: str, environ: "Mapping[str, str]", read: Read = read_file) -> "Problem | None":
    """Return the problem that stops a client on its way to an address, None where it gets there or has another way.

    Args:
        client: "git" and "uv", which know SOCKS; "hub" (requests), which does not; "web" (urllib), which takes no
            notice of all_proxy either. uv leaves out a proxy of a kind that it does not know.
        url: an http or https address.
        environ: variables by name.
        read: as in problems().

    """
    from urllib import request  # noqa: PLC0415 - slow, and seldom needed

    parts = urlsplit(url)
    names = [parts.scheme + "_proxy"] + ["all_proxy"] * (client != "web")
    forms = ["PIP_PROXY"] * (client == "uv" and bool(environ.get("PIP_PROXY")))
    forms += [form for name in names for form in (name, name.upper()) if environ.get(form)]
    knows = {"git": ("proxy_socks",), "uv": ("proxy_socks", "proxy_scheme")}.get(client, ())
    for problem in problems(environ, read) if forms else ():
        if forms[0] in problem.variables and not problem.safe and problem.code not in knows:
            around = {"no": past_loopback(environ)["no_proxy"]}
            past = request.proxy_bypass_environment(parts.hostname or "", around)  # type: ignore[attr-defined]
            return None if past else problem
    return None


def _joined(found: "list[Problem]") -> "list[Problem]":
    """Return problems with those of one kind and value as one."""
    joined = {}  # type: dict[tuple[str, str, "str | None"], Problem]
    for problem in found:
        key = (problem.code, problem.value, problem.repaired)
        first = joined.get(key)
        joined[key] = problem
        if first:
            joined[key] = first._replace(
                variables=first.variables + problem.variables, remedy=_both(first.remedy, problem.remedy)
            )
    return list(joined.values())


def _both(one: str, other: str) -> str:
    """Return two lines as one; of those that mend a SOCKS proxy, the first does it for all variables."""
    if one.startswith("unset ") and other.startswith("unset "):
        return one + other[len("unset") :]
    return one if "; unset " in one else one + "; " + other


def _proxy(name: str, value: str, environ: "Mapping[str, str]") -> "Problem | None":
    def problem(code: str, remedy: str, safe: bool, repaired: "str | None" = None) -> Problem:
        return Problem(code, (name,), _shown(masked(value)), remedy, safe, repaired, {})

    clean = "".join(value.split()).strip(_STRAY)
    if clean != value:
        inner = _proxy(name, clean, environ) if clean else None
        if clean and (inner is None or inner.safe):
            remedy = f'export {name}="$(printf %s "${name}" | tr -d "[:space:]\\042\\047")"'
            if inner or any(mark in value for mark in _STRAY[6:]):
                remedy = "unset " + name
            return problem("proxy_stray", remedy, True, inner.repaired if inner else clean)
        return problem("proxy_address", "unset " + name, False)
    scheme, mark, rest = value.partition("://")
    if not mark:
        scheme, rest = "http", value
    if scheme.lower().startswith("socks"):
        others = [environ.get(form, "") for other in PROXIES[:2] for form in (other, other.upper())]
        if name.lower() == "all_proxy" and any(re.match("https?://", other, re.I) for other in others):
            return problem("proxy_socks_beside", "unset " + name, True)
        address = f'"http://${{{name}#*://}}"'
        if name == "PIP_PROXY":
            return problem("proxy_socks", "export PIP_PROXY=" + address, False)
        remedy = "export http_proxy={0} https_proxy={0}; unset {1}".format(
            address, " ".join(sorted({"all_proxy", "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"}))
        )
        return problem("proxy_socks", remedy, False)
    if mark and scheme.lower() not in ("http", "https") and re.match(r"[a-z][a-z0-9+.-]*$", scheme, re.I):
        return problem("proxy_scheme", "unset " + name, False)
    user, at, host = rest.rpartition("@")
    if at and re.search("[#/?]", user):
        repaired = scheme + "://" + re.sub("[#/?]", lambda found: quote(found.group(), safe=""), user) + at + host
        if _is_address(repaired):
            marks = "s/#/%23/g;s/?/%3F/g;:a;s,\\(://.*\\)/\\(.*@\\),\\1%2F\\2,;ta"
            remedy = f'export {name}="$(printf %s "${name}" | sed \'{marks}\')"'
            return problem("proxy_password", remedy, True, repaired)
    if not _is_address(scheme + "://" + rest) or (not mark and "/" in rest):
        return problem("proxy_address", "unset " + name, False)
    if not mark and re.match(r"[A-Za-z][A-Za-z0-9+-]*:", value):  # requests takes the host for a scheme
        return problem("proxy_no_scheme", f'export {name}="http://${name}"', True, "http://" + value)
    return None


def _is_address(url: str) -> bool:
    """Tell whether a proxy's address has a host, and a port that is a number."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    return bool(re.match(r"[A-Za-z0-9_.:%-]+$", host)) and port != 0 and not parts.query and not parts.fragment


def _no_proxy(name: str, value: str) -> "Problem | None":
    kept, wrong = [], []
    for entry in re.split("[,\uff0c]", value):
        word = entry.strip()
        right = word.strip(_STRAY)
        if right and "://" not in right:
            right = _entry(right)
        if right:
            kept.append(right)
        if right != word:
            wrong.append(word)
    if "\uff0c" in value:
        wrong.append("\uff0c")
    if not wrong:
        return None
    repaired = ",".join(kept)
    remedy = f"export {name}={shlex.quote(repaired)}" if repaired else "unset " + name
    entries = ", ".join(_shown(word) for word in wrong)
    return Problem("no_proxy_entry", (name,), _shown(value), remedy, True, repaired or None, {"entries": entries})


def _entry(word: str) -> str:
    """Return an entry of no_proxy as every client can read it; "" where there is no such form."""
    bracketed = re.match(r"\[([^\]]*)\](:\d+)?$", word)
    if bracketed:
        return bracketed.group(1)
    if word.count(":") > 1:  # an IPv6 address; httpx reads none of a network
        return "" if re.search(r"[\[\]/]", word) else word
    if ":" in word and not re.match(r"[^:]*:\d+$", word):
        return ""
    try:
        word.encode("ascii")
    except UnicodeError:
        try:
            return word.encode("idna").decode()
        except UnicodeError:
            return ""
    return "" if "[" in word or "]" in word else word


def _certificate(name: str, value: str, environ: "Mapping[str, str]", read: Read) -> "Problem | None":
    def problem(code: str, repaired: "str | None", **details: str) -> Problem:
        remedy = f"export {name}={shlex.quote(repaired)}" if repaired else "unset " + name
        return Problem(code, (name,), _shown(value), remedy, True, repaired, details)

    content = read(value)
    folder_will_do = name not in ("SSL_CERT_FILE", "GIT_SSL_CAINFO")
    if content is None or not os.path.isabs(value):
        right = value.strip(_STRAY)
        if right.startswith("~/") and environ.get("HOME"):
            right = environ["HOME"] + right[1:]
        right = os.path.abspath(right) if right else ""
        if right != value and right and _PEM.search(read(right) or b""):
            return problem("certificate_spelling", right, file=right)
    if content is not None and (_PEM.search(content) or (folder_will_do and content == FOLDER)):
        return None
    store = SYSTEM_STORE if value != SYSTEM_STORE and _PEM.search(read(SYSTEM_STORE) or b"") else None
    return problem("certificate_missing" if content is None else "certificate_not_pem", store)


def _folder(name: str, value: str, environ: "Mapping[str, str]", read: Read) -> "Problem | None":
    if any(read(folder) == FOLDER for folder in value.split(":")):
        return None
    return Problem("certificate_folder", (name,), _shown(value), "unset " + name, True, None, {})


def _shown(value: str) -> str:
    """Return a value as one line, with what cannot be seen made visible."""
    plain = value.encode("unicode_escape").decode() if re.search(r"[\x00-\x1f\x7f]", value) else value
    return f'"{plain}"' if plain != value or plain != plain.strip() else plain


def chinese() -> "dict[str, str]":
    """Return the texts for translations.py: the English with {} for each value, the Chinese with {0}, {1}..."""
    told = {}
    for pair in TEXTS.values():
        for english, other in pair:
            numbers = {name: f"{{{number}}}" for number, name in enumerate(re.findall(r"\{(\w+)\}", english))}
            told[re.sub(r"\{\w+\}", "{}", english)] = other.format(**numbers)
    return told


def name_all(environ: "Mapping[str, str]", language: str) -> bool:
    """Name the problems of an environment on standard error; tell whether there are any."""
    one = 1 if language == "zh" else 0
    found = problems(environ)
    for problem in found:
        lines = [LEAD[one]]
        lines += ["    {}: {}".format(*pair) for pair in zip(LABELS[one], problem.said(language))]  # noqa: B905
        os.write(2, "".join(f"bootstrap: {line}\n" for line in lines).encode("utf-8", "replace"))
    return bool(found)


if __name__ == "__main__":
    sys.exit(name_all(os.environ, sys.argv[1]))
