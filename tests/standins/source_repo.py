"""The demo's source repository: scripts of upstream's shape.

Does not prove that upstream's own files are handled: only their shape is the same.
"""

import functools
from pathlib import Path

from git_objects import history

FOLDER = Path(__file__).resolve().parent / "source"


@functools.cache
def repository() -> tuple[str, str, dict[str, tuple[str, bytes]]]:
    """(pinned commit, head of main, objects). The pinned commit is neither the first nor the last."""
    files = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.is_file()}
    newer = {**files, "README.md": files["README.md"] + b"\nA later commit that nothing pins.\n"}
    ids, objects = history(
        [
            ("Start", {"README.md": files["README.md"]}),
            ("Add the demos", files),
            ("Say that there is more", newer),
        ]
    )
    return ids[1], ids[2], objects
