"""What a torch checkpoint's pickle would import, found without unpickling it.

A pickle names the functions that loading it calls; a checkpoint of weights needs four, and one that names others runs
code of its author's. The opcodes are read with the standard library's ``pickletools``, the two layouts of files as
``torch.load`` tells them apart: a zip archive if the file starts as one, else a row of pickles ("legacy").
"""

from __future__ import annotations

import os
import pickletools
import zipfile
from pathlib import Path
from typing import IO

from ..core.failure import Failure

WEIGHTS_ONLY = (
    "collections.OrderedDict",
    "torch.CharStorage",
    "torch.HalfStorage",
    "torch._utils._rebuild_tensor_v2",
)
"""The only globals of the true ``pytorch_model.bin`` of THUDM/chatglm2-6b-int4."""

SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
LEGACY_PICKLES = 5
"""Magic number, protocol, system, the object, storage keys; the storages' raw bytes follow."""

_STRINGS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}


def globals_of(stream: IO[bytes]) -> set[str]:
    """Return the dotted names that one pickle imports; the stream then stands behind it.

    STACK_GLOBAL takes its two names from the stack: they are followed only as far as they are constants pushed right
    before it, directly or from the memo. Anything cleverer is no checkpoint and counts as an unknown import.

    Raises:
        ValueError: this is no pickle.

    """
    found: set[str] = set()
    tail: list[str | None] = []
    memo: dict[int, str | None] = {}
    for opcode, argument, _ in pickletools.genops(stream):
        name = opcode.name
        if name in ("PROTO", "FRAME"):
            continue
        if name in _STRINGS:
            tail.append(str(argument))
        elif name == "MEMOIZE":
            memo[len(memo)] = tail[-1] if tail else None
        elif name in _PUTS:
            memo[int(str(argument))] = tail[-1] if tail else None
        elif name in _GETS:
            tail.append(memo.get(int(str(argument))))
        elif name == "STACK_GLOBAL":
            names = tail[-2:]
            known = len(names) == 2 and None not in names
            found.add(".".join(map(str, names)) if known else "(a name made up while unpickling)")
            tail = []
        else:
            if name in ("GLOBAL", "INST"):
                found.add(str(argument).replace(" ", "."))
            elif name in ("EXT1", "EXT2", "EXT4"):
                found.add(f"(extension code {argument})")
            tail = []
    return found


def checkpoint_globals(path: str | os.PathLike[str]) -> set[str]:
    """Return the dotted names that ``torch.load`` of the file at ``path`` would import.

    Raises:
        Failure: the file is no torch checkpoint, or is built so that readers may disagree about it.
        OSError: the file cannot be read.

    """

    def odd(what: str) -> Failure:
        return Failure(
            f"{Path(path).name} {what}", "a checkpoint as torch.save writes it", "take the weights from elsewhere"
        )

    with open(path, "rb") as stream:
        start = stream.read(4)
        stream.seek(0)
        try:
            if start != b"PK\x03\x04":
                return set().union(*(globals_of(stream) for _ in range(LEGACY_PICKLES)))
            with zipfile.ZipFile(stream) as archive:
                names = [entry.filename for entry in archive.infolist()]
                # The loader reads the archive with another library: what the two could read differently is refused.
                if len({name.casefold() for name in names}) != len(names):
                    raise odd("is an archive with two members of one name")
                if min(entry.header_offset for entry in archive.infolist()) != 0:
                    raise odd("is an archive with other bytes before it")
                pickles = [name for name in names if name.endswith(".pkl")]
                if not any(name.rpartition("/")[2] == "data.pkl" for name in pickles):
                    raise odd("is an archive without data.pkl")
                found: set[str] = set()
                for name in pickles:
                    with archive.open(name) as member:
                        found |= globals_of(member)
                return found
        except (ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, IndexError, EOFError) as error:
            raise odd(f"cannot be read as one ({error})") from error


def is_pickle(path: str | os.PathLike[str]) -> bool:
    """Tell by its name whether a file of a model is loaded by unpickling."""
    return Path(path).suffix in SUFFIXES


def refuse_imports(path: str | os.PathLike[str], allowed: list[str] | tuple[str, ...], name: str = "") -> list[str]:
    """Return the sorted globals of the checkpoint at ``path`` if all are ``allowed``.

    Args:
        path: the file.
        allowed: dotted names that may be imported.
        name: the file's name for the message, if its present one is temporary.

    Raises:
        Failure: others are named, or the file is no checkpoint.
        OSError: the file cannot be read.

    """
    found = checkpoint_globals(path)
    others = sorted(found - set(allowed))
    if others:
        raise Failure(
            f"{name or Path(path).name} would import {', '.join(others)} when it is loaded",
            f"a checkpoint that imports nothing but {', '.join(sorted(allowed))}",
            "take the weights from a repository you trust; if these names are harmless and meant, "
            "add them to weights_pickle_globals",
        )
    return sorted(found)
