"""Git objects by hand: commit ids that depend on nothing but the files, and need no git to be known."""

import hashlib
import zlib
from pathlib import Path

AUTHOR = "Stand-in <standin@localhost> 1700000000 +0000"


def object_id(kind: str, data: bytes) -> str:
    """Name of a git object."""
    return hashlib.sha1(b"%s %d\0%s" % (kind.encode(), len(data), data)).hexdigest()


def tree(entries: dict[str, str]) -> bytes:
    """Tree object of a flat folder: file name -> blob id."""
    ordered = sorted((name.encode(), bytes.fromhex(blob)) for name, blob in entries.items())
    return b"".join(b"100644 %s\0%s" % entry for entry in ordered)


def commit(tree_id: str, parent: str, message: str) -> bytes:
    """Commit object with a fixed author and date."""
    head = f"tree {tree_id}\n" + (f"parent {parent}\n" if parent else "")
    return f"{head}author {AUTHOR}\ncommitter {AUTHOR}\n\n{message}\n".encode()


def history(snapshots: list[tuple[str, dict[str, bytes]]]) -> tuple[list[str], dict[str, tuple[str, bytes]]]:
    """Commits for (message, files) in order: their ids, and every object as id -> (kind, data)."""
    objects: dict[str, tuple[str, bytes]] = {}

    def add(kind: str, data: bytes) -> str:
        name = object_id(kind, data)
        objects[name] = (kind, data)
        return name

    ids: list[str] = []
    for message, files in snapshots:
        folder = add("tree", tree({name: add("blob", data) for name, data in files.items()}))
        ids.append(add("commit", commit(folder, ids[-1] if ids else "", message)))
    return ids, objects


def write_bare(folder: Path, head: str, objects: dict[str, tuple[str, bytes]]) -> None:
    """Write a bare repository whose branch main is at head; any commit in it may be fetched by its id."""
    for name, (kind, data) in objects.items():
        path = folder / "objects" / name[:2] / name[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zlib.compress(b"%s %d\0%s" % (kind.encode(), len(data), data)))
    (folder / "refs" / "heads").mkdir(parents=True)
    (folder / "refs" / "heads" / "main").write_text(head + "\n")
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tbare = true\n[uploadpack]\n\tallowAnySHA1InWant = true\n"
    )
