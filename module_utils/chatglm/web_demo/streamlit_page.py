"""Edits of web_demo2.py, the page of streamlit. It takes its address on the command line."""

from __future__ import annotations

import ast

from . import signatures
from .edit import Source, is_method
from .script_calls import names_of, settle, table


def edit_streamlit(source: Source) -> None:
    """Note the edits after which every call of streamlit is one that the pinned version takes.

    Raises:
        Refused: a name or an argument that it has not.

    """
    modules, _ = names_of(source.tree, "streamlit")
    known = table(signatures.STREAMLIT)
    package = f"streamlit {signatures.STREAMLIT_VERSION}"
    for call in source.calls:
        if not is_method(call):
            continue
        owner, name = call.func.value, call.func.attr
        side = isinstance(owner, ast.Attribute) and owner.attr == "sidebar"
        owner = owner.value if side and isinstance(owner, ast.Attribute) else owner
        if not (isinstance(owner, ast.Name) and owner.id in modules):
            continue
        if name not in known:
            today = name.replace("experimental_", "")
            if today not in known or today == name:
                raise source.refuse(call, f"{package} has no st.{name}", f"what {package} has")
            start, end = source.method_name(call)
            source.edit(start, end, today, "streamlit")
            name = today
        pinned = known[name]
        if pinned is not None:
            settle(source, call, f"st.{name}", pinned=pinned, classic=None, package=package)
