"""Edits that make upstream's demo scripts run with the local model, the chosen device and the pinned packages.

Pure: bytes and settings in, edits out. What is edited, and why, stands in the file of each script.
"""

from __future__ import annotations

from dataclasses import replace

from ..core.failure import Failure
from ..core.files import sha256_bytes
from .edit import Edit, Refused, Settings, Source, apply
from .gradio_page import edit_gradio
from .model_load import edit_loads
from .openai_api import edit_openai_api
from .record import Outcome, Record
from .servers import edit_servers
from .streamlit_page import edit_streamlit
from .user_edits import likeness, line_before, line_range, line_starts, rebase


def _plan_once(data: bytes, settings: Settings, name: str) -> tuple[list[Edit], list[str]]:
    source = Source(data, name)
    edit_loads(source, settings)
    edit_servers(source, settings)
    asks = [edit_gradio(source, settings), edit_openai_api(source, settings)]
    edit_streamlit(source)
    if settings.password_file and not any(asks):
        raise source.refuse(None, "nothing in it can ask for a password", "web_demo.py, openai_api.py, or no password")
    source.settle_arguments()
    return sorted(source.edits, key=lambda edit: (edit.start, edit.end)), source.warnings


def plan(
    data: bytes, settings: Settings, name: str = "web_demo.py", own_lines: frozenset[int] | set[int] = frozenset()
) -> tuple[list[Edit], list[str]]:
    """Return the edits that ``data`` needs, and warnings.

    Args:
        data: a script's bytes.
        settings: what it shall use.
        name: the file's name for messages.
        own_lines: line numbers, from 0, that no edit may touch (the user's own edits over ours).

    Raises:
        Refused: the script is in no form that is understood; names line and reason.

    """
    edits, notes = _plan_once(data, settings, name)
    made: list[Edit] = []
    starts = line_starts(data)
    for edit in edits:
        if own_lines & set(range(*line_range(starts, edit.start, edit.end))):
            notes.append(
                f"{name}, line {edit.line}: your own edit is kept; the settings would have made it "
                f"{edit.after.strip() or 'nothing'!r} instead of {edit.before.strip()!r}"
            )
        else:
            made.append(edit)
    _prove(data, made, settings, name, left=len(edits) - len(made))
    return made, notes


def _prove(data: bytes, made: list[Edit], settings: Settings, name: str, left: int) -> None:
    """Prove that the edits did what they should: the result parses and needs no further edit but those left out.

    Raises:
        Refused: it does not.

    """
    try:
        again = _plan_once(apply(data, made), settings, name)[0]
    except (Refused, ValueError) as error:
        line = line_before(data, made, error.line) if isinstance(error, Refused) else None
        reason = error.reason if isinstance(error, Refused) else str(error)
        line = line or (made[0].line if made else None)
        raise Refused(name, line, f"an edit here would break the script: {reason}", "a form as upstream's") from None
    if len(again) > left:
        line = line_before(data, made, again[0].line)
        raise Refused(name, line, "an edit here does not settle", "a form as upstream's")


def base_of(current: bytes, record: Record | None, name: str = "web_demo.py") -> tuple[bytes, set[int]]:
    """Return the file without our edits, and the lines (from 0) where the user edited over them.

    Args:
        current: the file's bytes now.
        record: what an earlier run left, or None.
        name: the file's name for messages.

    """
    if record is None or current == record.original:
        return current, set()
    if current == record.patched or sha256_bytes(current) in record.known:
        return record.original, set(record.own_lines)
    if likeness(current, record.original) > likeness(current, record.patched):
        return current, set()  # restored or brought to another version since, by git for instance
    base, own_lines = rebase(record, current, fine=True)
    try:
        if apply(base, plan(base, record.settings, name, own_lines)[0]) == current:
            return base, own_lines
    except Failure:
        pass
    return rebase(record, current, fine=False)


def settle(current: bytes, record: Record | None, settings: Settings, path: str) -> Outcome:
    """Return what the file shall be under ``settings``, whatever state it is in.

    Args:
        current: the file's bytes now.
        record: what an earlier run left, or None.
        settings: what the script shall use.
        path: the file, for the record and for messages.

    Raises:
        Refused: the script is in no form that is understood; names line and reason.

    """
    name = path.rsplit("/", 1)[-1]
    base, own_lines = base_of(current, record, name)
    edits, notes = plan(base, settings, name, own_lines)
    data = apply(base, edits)
    if not edits and not own_lines:
        return Outcome(data, None, edits, notes)
    known = list(dict.fromkeys([sha256_bytes(current), sha256_bytes(data)]))
    new = Record(path, base, edits, settings, known, own_lines)
    if record is not None and new == replace(record, known=known) and current == data:
        new.known = record.known  # nothing to write
    return Outcome(data, new, edits, notes)


def revert(current: bytes, record: Record | None, path: str) -> Outcome:
    """Return the file without our edits; the user's edits made since stay.

    Args:
        current: the file's bytes now.
        record: what an earlier run left; without it nothing can be reverted.
        path: the file, for messages.

    """
    name = path.rsplit("/", 1)[-1]
    if record is None:
        return Outcome(current, None, [], [f"{name}: no record of a patch was found, so there is nothing to revert"])
    base, own_lines = base_of(current, record, name)
    notes = [f"{name}, line {line + 1}: your own edit over the patch stays as it is" for line in sorted(own_lines)]
    return Outcome(base, None, [], notes)
