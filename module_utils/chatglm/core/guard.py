"""The one way out of every module for an error that nobody foresaw.

Runs on the host's own Python, which may be as old as 3.8.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
from typing import Any, Callable  # noqa: UP035

from ansible.module_utils.basic import AnsibleModule

from ..language import translations
from . import network_environment
from .addresses import masked
from .failure import Failure

WARNINGS = "CHATGLM_WARNINGS"
"""Variable with the language of warnings, set by action_plugins/normal.py."""

network: list[network_environment.Problem] = []
"""What of the host's network variables could not work as :func:`guarded` found them."""


def place_of(error: BaseException) -> str:
    """Return file and line of this project where ``error`` arose, as ``module_utils/chatglm/x.py, line 3``."""
    found = "unknown place"
    for frame in traceback.extract_tb(error.__traceback__):
        own = re.search(r"module_utils/chatglm/(?:\w+/)*\w+\.py$|(?:library|modules)/(\w+\.py)$", frame.filename)
        if own:
            found = f"{f'library/{own[1]}' if own[1] else own[0]}, line {frame.lineno}"
    return found


def unforeseen(error: BaseException, about: str = "", words: bool = True) -> Failure:
    """Return what to tell of an error that no code explains.

    Args:
        error: as it was caught.
        about: what it was about, such as a file of the user's; goes with the report.
        words: whether to quote the error; not where nobody knows what in it is secret.

    """
    text = " ".join(masked(str(error)).split())[:300] if words else ""
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    place = place_of(error)
    return Failure(
        f"an error that this project does not foresee, at {place}: {told}" + (f" (about {about})" if about else ""),
        "none: this is a fault of the project, not yours",
        "report it, with this text, the output of git log -1 in the project's folder"
        + (f", the file {about}" if about else "")
        + ", and what the same command prints with -vvv at its end; neither holds a password",
    )


def _module(error: BaseException) -> AnsibleModule | None:
    """Return the module that was at work, from the frames of its error: it knows what must not be shown."""
    step = error.__traceback__
    while step is not None:
        for value in step.tb_frame.f_locals.values():
            for each in (value, getattr(value, "module", None)):
                if isinstance(each, AnsibleModule):
                    return each
        step = step.tb_next
    return None


def guarded(main: Callable[[], None]) -> None:
    """Run a module's ``main``; an error that it lets through ends it with a text that can be reported.

    Before, network variables that cannot work are put right for it and what it starts, where that loses nothing. A
    module that has changed something says when (``changed_at``), while it still holds the lock: a rival's proof that
    was made later covers it.
    """
    network[:] = network_environment.problems(os.environ)
    right = network_environment.put_right(os.environ)
    for name in os.environ.keys() - right.keys():
        del os.environ[name]
    os.environ.update(right)
    if os.environ.pop(WARNINGS, "") == "zh":
        plain = AnsibleModule.warn
        AnsibleModule.warn = lambda self, warning, **more: plain(self, translations.chinese(warning), **more)
    plain_exit = AnsibleModule.exit_json

    def exit_json(self: AnsibleModule, **result: Any) -> None:
        plain_exit(self, **({**result, "changed_at": time.monotonic()} if result.get("changed") else result))

    AnsibleModule.exit_json = exit_json  # type: ignore[method-assign,assignment]
    try:
        main()
    except Exception as error:
        module = _module(error)
        told: dict[str, Any] = {"msg": str(unforeseen(error, words=module is not None)), "unforeseen": True}
        if module is not None:
            module.fail_json(**told)
        print(json.dumps({"failed": True, **told}))
        sys.exit(1)
