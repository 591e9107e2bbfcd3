"""What is put into a script, as files of their own: they are read here, and run in the demo's virtualenv."""

import importlib.util
import re

MARK = "# What follows goes into the script.\n"


def text_of(name: str, values: dict[str, str]) -> str:
    """Return what of a file in this folder goes into a script.

    Args:
        name: of the file, without ending. It is not imported: its packages are not on the host's Python.
        values: Python source in place of names that the file only stands in for.

    Raises:
        ImportError: there is no such file, or it came without its source.

    """
    spec = importlib.util.find_spec(f"{__name__}.{name}")
    source = spec.loader.get_source(spec.name) if spec and spec.loader else None  # type: ignore[attr-defined]
    if source is None:
        raise ImportError(f"{__name__}.{name} has no source")
    body: str = source.partition(MARK)[2]
    return re.sub(rf"\b({'|'.join(values)})\b", lambda found: values[found[0]], body)
