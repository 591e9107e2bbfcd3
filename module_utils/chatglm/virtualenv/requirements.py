"""Lock files: requirements in pip's format, every one pinned with ``==`` and at least one SHA-256."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from ..core.failure import Failure

_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==(?P<version>[^\s;]+)\s*(?:;(?P<marker>[^\\]*))?"
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})(?![0-9a-f])")


@dataclass(frozen=True)
class Pin:
    """One distribution at one version.

    Attributes:
        name: normalised (PEP 503).
        version: as locked.
        hashes: hex SHA-256 of the files that may be installed, sorted.
        marker: environment marker (PEP 508), empty when it always applies.

    """

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str = ""

    def requirement(self) -> str:
        """Return the pin as a line for ``--require-hashes``, without its marker."""
        return f"{self.name}=={self.version} " + " ".join(f"--hash=sha256:{item}" for item in self.hashes)


def normalise(name: str) -> str:
    """Return the distribution name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def same_version(left: str, right: str) -> bool:
    """Tell whether two version texts name one version: ``2024.01.0`` is ``2024.1``, case is ignored."""

    def key(version: str) -> tuple[list[int], str]:
        found = re.match(r"v?(\d+(?:\.\d+)*)(.*)", version.strip().lower())
        if not found:
            return [], version.strip().lower()
        release = [int(part) for part in found[1].split(".")]
        while len(release) > 1 and release[-1] == 0:
            release.pop()
        return release, re.sub(r"[-_.]", "", found[2])

    return key(left) == key(right)


def parse_lock(text: str) -> list[Pin]:
    """Return the pins of a lock file in its order.

    Raises:
        Failure: a line is not a pinned requirement with a SHA-256 (options and URLs are refused too: a lock
            says what is installed, never from where).

    """
    pins = []
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        content = re.sub(r"(^|\s)#.*", "", line).strip()
        if not content:
            continue
        found = _LINE.match(content)
        hashes = _HASH.findall(content)
        left = _HASH.sub("", content[found.end() :] if found else content).strip()
        if not found or not hashes or (left and found["marker"] is None):
            raise Failure(
                f'line "{content[:80]}" in a lock file',
                "name==version, optionally a marker, and at least one --hash=sha256:<64 hex digits>",
                "regenerate the lock with roles/virtualenv/files/relock",
            )
        marker = (found["marker"] or "").split("--hash")[0].strip()
        pins.append(Pin(normalise(found["name"]), found["version"], tuple(sorted(set(hashes))), marker))
    return pins


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.removesuffix(".*")))


def _compare(left: str, operator: ast.cmpop, right: str, versions: bool) -> bool:
    if isinstance(operator, ast.In):
        return left in right
    if isinstance(operator, ast.NotIn):
        return left not in right
    first: tuple[int, ...] | str = left
    second: tuple[int, ...] | str = right
    if versions:
        first, second = _numbers(left), _numbers(right)
        if right.endswith(".*"):
            first = first[: len(second)]
        width = max(len(first), len(second))
        first, second = first + (0,) * (width - len(first)), second + (0,) * (width - len(second))
    if isinstance(operator, ast.Eq):
        return first == second
    if isinstance(operator, ast.NotEq):
        return first != second
    if isinstance(operator, ast.Lt):
        return first < second  # type: ignore[operator]
    if isinstance(operator, ast.LtE):
        return first <= second  # type: ignore[operator]
    if isinstance(operator, ast.Gt):
        return first > second  # type: ignore[operator]
    if isinstance(operator, ast.GtE):
        return first >= second  # type: ignore[operator]
    raise ValueError(ast.dump(operator))


def marker_holds(marker: str, environment: dict[str, str]) -> bool:
    """Evaluate an environment marker.

    Args:
        marker: PEP 508 marker without ``~=`` and ``===``; the rest of its grammar is a subset of Python's.
        environment: marker names and values, ``python_full_version`` and the like.

    Raises:
        Failure: the marker is none, or uses a name that ``environment`` lacks.

    """

    def value(node: ast.expr) -> tuple[str, bool]:
        if isinstance(node, ast.Name):
            return environment[node.id], node.id.startswith("python_") or node.id == "implementation_version"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value, False
        raise ValueError(ast.dump(node))

    def holds(node: ast.expr) -> bool:
        if isinstance(node, ast.BoolOp):
            results = [holds(item) for item in node.values]
            return all(results) if isinstance(node.op, ast.And) else any(results)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, left_version = value(node.left)
            right, right_version = value(node.comparators[0])
            return _compare(left, node.ops[0], right, left_version or right_version)
        raise ValueError(ast.dump(node))

    if not marker:
        return True
    try:
        return holds(ast.parse(marker.strip(), mode="eval").body)
    except (SyntaxError, ValueError, KeyError, TypeError) as error:
        raise Failure(
            f'marker "{marker}" in a lock file ({error})',
            "a marker of comparisons joined by and/or",
            "regenerate the lock with roles/virtualenv/files/relock",
        ) from error


def environment_of(python_version: str, machine: str) -> dict[str, str]:
    """Return the marker environment of CPython on Linux.

    Args:
        python_version: full version, ``3.11.7``.
        machine: ``x86_64`` and the like.

    """
    return {
        "python_full_version": python_version,
        "python_version": ".".join(python_version.split(".")[:2]),
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": machine,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def applicable(texts: list[str], environment: dict[str, str]) -> dict[str, Pin]:
    """Return what several lock files together install in one environment, by name.

    Raises:
        Failure: two files pin one distribution at different versions, or one cannot be read.

    """
    chosen: dict[str, Pin] = {}
    for text in texts:
        for pin in parse_lock(text):
            if not marker_holds(pin.marker, environment):
                continue
            known = chosen.setdefault(pin.name, pin)
            if known.version != pin.version:
                raise Failure(
                    f"{pin.name} {known.version} and {pin.version} in the lock files",
                    "one version of each distribution",
                    "regenerate the locks together with roles/virtualenv/files/relock",
                )
            if known.hashes != pin.hashes:
                both = tuple(sorted({*known.hashes, *pin.hashes}))
                chosen[pin.name] = Pin(pin.name, pin.version, both)
    return chosen
