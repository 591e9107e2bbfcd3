"""What of an installation is ours and may go, and what is the user's and stays: decisions without I/O.

Ours is what the records prove (packages, clone, weights), and what stands in a place that only this project writes.
Everything else stays, and each folder that holds some of it. Links are entries like files: nobody follows them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

AREAS = ("python", "venv", "source", "models", "bin", "lib", "cache", "run", "state", "cuda")
"""Folders of ours directly under home. Empty folders below them go too; an empty folder elsewhere is the user's."""
NOTE = "state/removed.json"
"""Stays as long as files of the user's do: a later run then knows that the rest was removed."""
LOCK = "state/lock"
PYTHON = "state/python.json"

# What else than files of packages, clone and weights this project writes, by the whole path relative to home.
_OWN = re.compile(
    r"bin/(chatglm|chatglm-run|uv|\.ansible_tmp\w{8}uv)|lib/chatglm/(\w+/)?\w+\.py|lib/engine/\w+\.(py|cu?)"
    r"|cache/(engine|gradio|modules|pycache|huggingface/modules)/.*|cache/huggingface/hub/version\.txt|cache/uv\.removing/.*"
    # gradio writes that beside itself.
    r"|venv/lib/python3\.\d+/site-packages/gradio/hash_seed\.txt"
    r"|cache/ca-bundle\.pem|cache/huggingface/version\.txt"
    r"|state/(lock|weights\.sha256|page_password|progress\.json(\.new)?|service/(chatglm\.log(\.\d)?|supervisor\.lock|\w+\.json))"
    r"|state/(weights|python|proof|seal|removed|cuda_libs|service|windows|\w+_patch)\.json"
    # Built aside, or replaced, by a run that was interrupted: the next one would remove it as well.
    r"|(venv\.partial|venv\.old|python\.partial|python\.old|source\.partial)/.*",
    re.DOTALL,
)
# A file that is written beside its target first (files.write_atomic).
_BESIDE = re.compile(r"(?P<folder>.*/)\.(?P<name>[^/]+)\.\w{8}\.part", re.DOTALL)
# What uv writes into a virtualenv itself.
SCRIPTS = re.compile(
    r"venv/(\.gitignore|CACHEDIR\.TAG|pyvenv\.cfg|\.lock|bin/(activate[.\w]*|deactivate\.bat|pydoc\.bat))"
)
_LINKS = re.compile(r"venv/(lib64|bin/python(3(\.\d+)?)?)")
STAMP = "venv/.chatglm-env.json"
BIRTH = "venv/CACHEDIR.TAG"
"""Nobody edits it, so its time is that of the virtualenv's making."""
PAGES = ("web_demo.py", "web_demo2.py", "openai_api.py", "api.py")
_BYTECODE = re.compile(r"(?P<folder>(.*/)?)__pycache__/(?P<name>[^/]+?)\.[\w-]+(\.opt-\d)?\.pyc(\.\d+)?", re.DOTALL)
_PARTS = re.compile(r"(?P<path>.*?)(\.copy)?\.part(\.json(\.new)?)?", re.DOTALL)


@dataclass(frozen=True)
class Item:
    """A file, folder or link below home.

    Attributes:
        path: relative to home.
        kind: ``file``, ``folder``, ``link`` or ``other`` (a pipe, a socket).
        size: bytes that it takes on the disk.
        mount: a folder where another file system begins.

    """

    path: str
    kind: str = "file"
    size: int = 0
    mount: bool = False


@dataclass
class Evidence:
    """What reading files has shown.

    Attributes:
        proven: files that are as we put them there.
        reasons: files that are not, or are not ours, and why they stay (a code of :data:`REASONS`).
        whole: folders that stay or go as one: the reason, or an empty text for what is ours.
        downloads: files of the model that may have unfinished downloads beside them.

    """

    proven: set[str] = field(default_factory=set)
    reasons: dict[str, str] = field(default_factory=dict)
    whole: dict[str, str] = field(default_factory=dict)
    downloads: set[str] = field(default_factory=set)


REASONS = ("yours", "edited", "package", "commits", "link", "asked", "unproven", "mount", "note")


def _outer(path: str, folders: Mapping[str, str]) -> str | None:
    """Return the verdict on the innermost of ``folders`` that holds ``path``, or None."""
    while path:
        if path in folders:
            return folders[path]
        path = path.rpartition("/")[0]
    return None


def judge(item: Item, evidence: Evidence) -> str:
    """Return why a file or link stays, or an empty text for what is ours."""
    path = item.path
    whole = _outer(path, evidence.whole)
    if whole is not None:
        return whole
    if path in evidence.reasons:
        return evidence.reasons[path]
    if path in evidence.proven:
        return ""
    if item.kind == "link":
        inside = _OWN.fullmatch(path) and not path.startswith(("bin/", "state/", "run/"))
        return "" if _LINKS.fullmatch(path) or inside else "link"
    if item.kind != "file":
        return "yours"
    beside = _BESIDE.fullmatch(path)
    target = f"{beside['folder']}{beside['name']}" if beside else path
    if target in evidence.proven or _OWN.fullmatch(target) or target == STAMP:
        return ""
    code = _BYTECODE.fullmatch(path)
    made_from = f"{code['folder']}{code['name']}.py" if code else path
    if made_from in evidence.proven or _OWN.fullmatch(made_from):
        return ""
    part = _PARTS.fullmatch(path)
    if part and part["path"] in evidence.downloads:
        return ""
    return "yours"


def _rank(path: str) -> int:
    """Return when a file goes: what proves others goes after them, and the lock last."""
    if path in (BIRTH, STAMP, LOCK):
        return {BIRTH: 3, STAMP: 4, LOCK: 6}[path]
    if path.startswith("state/"):
        return 5
    if path.startswith("source/.git/"):
        return 2
    return 1 if path.endswith(".dist-info/RECORD") else 0


@dataclass
class Plan:
    """What goes, in the order in which it goes, and what stays.

    Attributes:
        files: paths of files and links.
        folders: paths of folders, inner ones first.
        kept: path to reason, of files and links.
        lines: what goes, each as (path, number of files, bytes); a folder that goes whole is one line.
        stays: what stays, in the same way as (path, number of files, reason).
        freed: bytes.

    """

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    lines: list[tuple[str, int, int]] = field(default_factory=list)
    stays: list[tuple[str, int, str]] = field(default_factory=list)
    freed: int = 0

    @property
    def changed(self) -> bool:
        """Tell whether anything goes."""
        return bool(self.files or self.folders)


def _parents(path: str) -> Iterable[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def plan(items: Iterable[Item], evidence: Evidence) -> Plan:
    """Return what goes and what stays of the entries below home."""
    items = sorted(items, key=lambda item: item.path)
    folders = {item.path: item for item in items if item.kind == "folder"}
    entries = [item for item in items if item.kind != "folder"]
    result = Plan()
    for item in entries:
        reason = judge(item, evidence)
        if reason:
            result.kept[item.path] = reason
    for path, folder in folders.items():
        if folder.mount:
            result.kept[path] = "mount"
    # An empty folder outside our own is somebody's; inside, it is what an interrupted removal left.
    holders = {parent for item in items for parent in _parents(item.path)}
    for path in folders.keys() - holders:
        known = (
            path.partition("/")[0] in AREAS
            or _OWN.fullmatch(f"{path}/")
            or path in ("venv.partial", "python.partial", "source.partial")
        )
        whole = _outer(path, evidence.whole)
        if whole or (whole is None and not known):
            result.kept.setdefault(path, whole or "yours")
    theirs = {reason for path, reason in result.kept.items() if path != NOTE}
    if theirs:
        # What knows that the rest was removed, and what proves the weights that were to be kept.
        stay = {NOTE} | ({"state/weights.json", "state/weights.sha256"} if "asked" in theirs else set())
        result.kept.update({item.path: "note" for item in entries if item.path in stay})
    held = {parent for path in result.kept for parent in _parents(path)} | ({"state"} if theirs else set())
    going = [item for item in entries if item.path not in result.kept]
    result.files = [item.path for item in sorted(going, key=lambda item: (_rank(item.path), item.path))]
    gone = {path for path in folders if path not in held and path not in result.kept}
    result.folders = sorted(gone, key=lambda path: (-path.count("/"), path))
    result.freed = sum(item.size for item in going) + sum(folders[path].size for path in gone)
    _tell(result, items, gone, held)
    return result


def _tell(result: Plan, items: list[Item], gone: set[str], held: set[str]) -> None:
    """Fill in the lines, each for a whole folder where that is possible."""
    lines: dict[str, list[int]] = {}
    stays: dict[str, tuple[int, str]] = {}
    mixed: dict[str, set[str]] = {}
    for item in items:
        if item.kind != "folder" or item.path in result.kept:
            for parent in _parents(item.path):
                mixed.setdefault(parent, set()).add(result.kept.get(item.path, ""))
    for item in items:
        parents = [*_parents(item.path)]
        if item.path in result.kept:
            # All below the outermost folder stays for one reason.
            reason = result.kept[item.path]
            tops = [parent for parent in parents if mixed[parent] == {reason} and parent not in gone]
            top = f"{tops[-1]}/" if tops else item.path + ("/" if item.kind == "folder" else "")
            stays[top] = (stays.get(top, (0, ""))[0] + 1, reason)
        elif item.kind == "folder" and item.path in held:
            continue
        elif item.kind != "folder" or item.path in gone:
            tops = [parent for parent in parents if parent in gone]
            own = item.path + ("/" if item.kind == "folder" else "")
            line = lines.setdefault(f"{tops[-1]}/" if tops else own, [0, 0])
            line[0] += item.kind != "folder"
            line[1] += item.size
    result.lines = [(path, count, size) for path, (count, size) in sorted(lines.items())]
    result.stays = [(path, count, reason) for path, (count, reason) in sorted(stays.items())]


def forbidden(home: str, user_home: str) -> bool:
    """Tell whether a folder is one that is never an installation: the root, the user's home, or one that holds it."""
    home, user_home = os.path.normpath(home), os.path.normpath(user_home)
    return home in ("/", "//") or f"{user_home}/".startswith(f"{home.rstrip('/')}/") or home.count("/") < 1


def own_history(reflog: str) -> bool:
    """Tell whether a clone's log of HEAD has anything but the checkouts of source_checkout."""
    told = [line.partition("\t")[2] for line in reflog.splitlines() if line.strip()]
    return any(not re.match(r"checkout: moving from \S+ to [0-9a-f]{40}$|reset: ", text) for text in told)


_OF_GIT: tuple[str, ...] = (
    "HEAD",
    "config",
    "index",
    "objects",
    "refs",
    "logs",
    "info",
    "shallow",
    "FETCH_HEAD",
    "ORIG_HEAD",
)
_OF_GIT += ("packed-refs", "chatglm-checkout", "index.lock", "HEAD.lock", "shallow.lock", "config.lock", "branches")


def own_git(names: Iterable[str], refs: Iterable[str], packed_refs: str, head: str, reflog: str) -> bool:
    """Tell whether a ``.git`` holds nothing that the user made: no commit, branch, stash, hook or merge under way.

    Args:
        names: what stands in it.
        refs: paths of the files below refs, logs and info, relative to it.
        packed_refs: text of packed-refs.
        head: text of HEAD.
        reflog: text of logs/HEAD.

    """
    listed = [line.split()[-1] for line in packed_refs.splitlines() if line[:1] not in ("", "#", "^")]
    fetched = r"refs/remotes/(origin|chatglm)/.*"
    allowed = re.compile(rf"{fetched}|refs/tags/.*|logs/HEAD|logs/{fetched}|info/refs", re.DOTALL)
    return (
        set(names) <= set(_OF_GIT)
        and all(allowed.fullmatch(path) for path in [*refs, *listed])
        and re.fullmatch(r"[0-9a-f]{40}", head.strip()) is not None
        and not own_history(reflog)
    )


def parse_tree(output: str) -> dict[str, tuple[str, str]]:
    """Return path -> (mode, blob id) from ``git ls-tree -r -z --full-tree``."""
    found = {}
    for entry in output.split("\0"):
        head, _, path = entry.partition("\t")
        if path:
            mode, _, blob = head.split()
            found[path] = (mode, blob)
    return found


def names_home(text: str, *homes: str) -> bool:
    """Tell whether a file of ours outside home says in its comment that it belongs to this home."""
    return any(line.strip() in {f"# chatglm_home: {home}" for home in homes} for line in text.splitlines()[:20])


def role_of(words: list[str], *homes: str) -> str:
    """Return what a process is to the installation, by its command line: ``page``, ``other`` that uses it, or ''."""
    for home in homes:
        if words[:1] and words[0].startswith(f"{home}/"):
            page = {f"{home}/source/{name}" for name in PAGES} & set(words)
            return "page" if page or words[0] == f"{home}/bin/chatglm-run" else "other"
        # The first words of a script are its interpreter with options.
        for script, commands in (("chatglm-run", ((),)), ("chatglm", (("serve",), ("supervise",)))):
            path = f"{home}/bin/{script}"
            if path in words[1:3] and tuple(words[words.index(path) + 1 :]) in commands:
                return "page"
    return ""
