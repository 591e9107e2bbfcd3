"""What a patch leaves behind: the record by which it is changed, carried along and taken back."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any

from ..core.files import sha256_bytes
from .edit import Edit, Settings, apply

RECORD_KIND = "web_demo_patch"


@dataclass
class Record:
    """What is known of a file that was patched.

    Attributes:
        path: the file.
        original: its bytes before the edits (with the user's own edits, where they could be told apart).
        edits: the edits, as offsets into ``original``.
        settings: the settings that they were made with.
        known: SHA-256 of the contents that this record stands for; two while a write was under way.
        own_lines: line numbers, from 0, in ``original`` where the user edited over our edit.

    """

    path: str
    original: bytes
    edits: list[Edit]
    settings: Settings
    known: list[str] = field(default_factory=list)
    own_lines: set[int] = field(default_factory=set)

    @property
    def patched(self) -> bytes:
        """The bytes after the edits."""
        return apply(self.original, self.edits)

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON data."""
        return {
            "record": RECORD_KIND,
            "path": self.path,
            "original": base64.b64encode(self.original).decode(),
            "original_sha256": sha256_bytes(self.original),
            "patched_sha256": sha256_bytes(self.patched),
            "known_sha256": self.known,
            "kept_lines": sorted(self.own_lines),
            "settings": vars(self.settings),
            "edits": [{**vars(edit), "new": base64.b64encode(edit.new).decode()} for edit in self.edits],
        }

    @classmethod
    def from_json(cls, value: Any) -> Record | None:
        """Return the record in ``value``, or None when it is not one or does not agree with its own digests."""
        if not isinstance(value, dict) or value.get("record") != RECORD_KIND:
            return None
        try:
            record = cls(
                path=str(value["path"]),
                original=base64.b64decode(value["original"], validate=True),
                edits=[
                    Edit(**{**edit, "new": base64.b64decode(edit["new"], validate=True)}) for edit in value["edits"]
                ],
                settings=Settings(**value["settings"]),
                known=[str(digest) for digest in value["known_sha256"]],
                own_lines={int(line) for line in value["kept_lines"]},
            )
            digests = (sha256_bytes(record.original), sha256_bytes(record.patched))
        except (KeyError, TypeError, ValueError, binascii.Error):
            return None
        return record if digests == (value.get("original_sha256"), value.get("patched_sha256")) else None


@dataclass
class Outcome:
    """What a run would leave.

    Attributes:
        data: the file's bytes after the run.
        record: the record to write, or None when there is nothing to record.
        edits: the edits that ``data`` contains, against the record's original.
        warnings: what the user should know.

    """

    data: bytes
    record: Record | None
    edits: list[Edit]
    warnings: list[str]
