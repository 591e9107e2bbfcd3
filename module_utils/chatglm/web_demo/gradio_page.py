"""Edits of web_demo.py, the page of gradio.

gradio is pinned to 6.17.3. It has no ``.style()``, its chatbot takes messages instead of tuples, and it renders
Markdown itself. Classic gradio 3.39, for which upstream wrote the page, serves files below its working folder to any
origin, fetches URLs that a page hands it, and makes the browser load fonts from outside hosts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import signatures
from .edit import Code, Settings, Source, is_method, last_name
from .script_calls import Signature, names_of, settle, table

if TYPE_CHECKING:
    from .edit import MethodCall

PAGE_USER = "chatglm"
GRADIO = f"gradio {signatures.GRADIO_VERSION.split('.')[0]}"
REPLACED = {"Box": "Group", "Variable": "State", "Pil": "Image"}
"""What took the place of a class of gradio."""


class Gradio:
    """The calls of gradio in a script."""

    def __init__(self, source: Source) -> None:
        """Find the package's names, and what the script's variables hold."""
        self.source = source
        self.pinned, self.classic = table(signatures.GRADIO), table(signatures.CLASSIC)
        self.modules, self.members = names_of(source.tree, "gradio")
        self.made: dict[str, set[str]] = {}
        for node in ast.walk(source.tree):
            pairs: list[tuple[ast.AST, ast.AST | None]] = []
            if isinstance(node, ast.Assign):
                pairs = [(target, node.value) for target in node.targets]
            elif isinstance(node, ast.withitem):
                pairs = [(node.optional_vars, node.context_expr)] if node.optional_vars is not None else []
            for target, value in pairs:
                if isinstance(target, ast.Name):
                    self.made.setdefault(target.id, set()).add(self.kind(value) if value is not None else "")

    def path(self, node: ast.AST) -> str:
        """Return the name within gradio that an expression is, such as ``Textbox`` or ``inputs.Textbox``, or ""."""
        if isinstance(node, ast.Name):
            return self.members.get(node.id, "")
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in self.modules:
                return node.attr
            above = self.path(node.value)
            return f"{above}.{node.attr}" if above else ""
        return ""

    def kind(self, node: ast.AST) -> str:
        """Return the class of gradio that an expression makes or holds, or ""."""
        if isinstance(node, ast.Name):
            kinds = self.made.get(node.id, set())
            return next(iter(kinds)) if len(kinds) == 1 else ""
        if not isinstance(node, ast.Call):
            return ""
        path = self.path(node.func)
        if path:
            return path if path[0].isupper() else ""
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("queue", "style"):
            return self.kind(node.func.value)
        return ""

    def takes(self, call: ast.Call) -> Signature | None:
        """Return what the class that ``call`` makes takes today."""
        path = self.path(call.func)
        return self.pinned.get(REPLACED.get(path, path))

    def judge(self) -> Iterator[tuple[ast.Call, str, Signature, Signature | None]]:
        """Settle names that are gone; yield each call that is known, how it is called, what it takes and took.

        Raises:
            Refused: a name that the pinned package has not, and nothing in its place.

        """
        for node in self.source.calls:
            path = self.path(node.func)
            if path:
                yield from self.named(node, path)
            elif is_method(node):
                name = f".{node.func.attr}"
                known = self.kind(node.func.value) or ("Blocks" if name in (".launch", ".queue") else "")
                pinned = self.pinned.get(name)
                if known and pinned is not None:
                    yield node, name, pinned, self.classic.get(name)
                elif known and name in self.classic and name != ".style":
                    raise self.source.refuse(
                        node, f"{known} of gradio {signatures.GRADIO_VERSION} has no {name}", "a method that it has"
                    )

    def named(self, node: ast.Call, path: str) -> Iterator[tuple[ast.Call, str, Signature, Signature | None]]:
        """Settle or yield a call of a name of the package."""
        shown, func = f"gr.{path}", node.func
        head, _, tail = path.partition(".")
        if tail == "update" and "update" in self.pinned and f"{head}.update" not in self.pinned and self.modules:
            if head[:1].isupper():  # gr.Textbox.update(...) became gr.update(...)
                module = sorted(self.modules)[0]
                self.source.edit(*self.source.span(func), f"{module}.update", "gradio")
            return
        if head in REPLACED and head not in self.pinned:
            if tail or not isinstance(func, ast.Attribute):
                raise self.source.refuse(node, f"gradio {signatures.GRADIO_VERSION} has no {shown}", REPLACED[head])
            end = self.source.span(func)[1]
            self.source.edit(end - len(head), end, REPLACED[head], "gradio")
            pinned = self.pinned[REPLACED[head]]
            if pinned is not None:
                yield node, shown, pinned, self.classic.get(head)
            return
        if head not in self.pinned:
            raise self.source.refuse(
                node,
                f"gradio {signatures.GRADIO_VERSION} has no {shown}",
                f"what gradio {signatures.GRADIO_VERSION} has",
            )
        pinned = self.pinned.get(path)
        if pinned is not None:
            yield node, shown, pinned, self.classic.get(path)


def _message(source: Source, role: str, content: ast.expr) -> str:
    """Return source for one message; gradio renders Markdown, so upstream's HTML escaping goes."""
    if isinstance(content, ast.Call) and last_name(content.func) == "parse_text" and len(content.args) == 1:
        content = content.args[0]
    return f'{{"role": "{role}", "content": {source.of(content)}}}'


def _imported_at(tree: ast.Module) -> ast.stmt | None:
    """Return where a script imports gradio."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(alias.name == "gradio" for alias in node.names):
            return node
        if isinstance(node, ast.ImportFrom) and node.module == "gradio":
            return node
    return None


def edit_gradio(source: Source, settings: Settings) -> bool:
    """Note the edits that gradio 6 needs; tell whether it is a page of gradio, which can ask for a password.

    Raises:
        Refused: a name or an argument that neither version has, or a page that is never launched.

    """
    imported = _imported_at(source.tree)
    if imported is None:
        return False
    gradio = Gradio(source)
    for call, shown, pinned, classic in gradio.judge():
        settle(source, call, shown, pinned=pinned, classic=classic, package=GRADIO)
    launched = False
    for call in source.calls:
        if is_method(call, "launch"):
            launched = True
            _edit_launch(source, settings, gradio, call)
        elif is_method(call, "style"):
            _edit_style(source, gradio, call)
    _edit_history(source, gradio)
    if not launched:
        raise source.refuse(imported, "gradio is imported, and no .launch() call follows", "demo.launch(...)")
    return True


def _edit_launch(source: Source, settings: Settings, gradio: Gradio, call: ast.Call) -> None:
    values: dict[str, str | int | bool] = {"server_name": settings.listen, "server_port": settings.port}
    if settings.password_file:
        secret = f"open({source.literal(settings.password_file)}).read().strip()"
        values["auth"] = Code(f'("{PAGE_USER}", {secret})')
    values |= {"share": False, "inbrowser": False}
    classic = gradio.classic[".launch"]
    source.set_keywords(call, values, "listen", classic.by_place if classic else ())


def _edit_style(source: Source, gradio: Gradio, call: MethodCall) -> None:
    """Note that ``gr.X(...).style(kw)`` becomes ``gr.X(..., kw)``, as far as that takes them."""
    constructor = call.func.value
    if not (isinstance(constructor, ast.Call) and gradio.path(constructor.func)):
        if gradio.kind(constructor):
            source.warnings.append(
                f"{source.name}, line {call.lineno}: .style({', '.join(map(source.of, call.keywords))}) is dropped: "
                "gradio 6 has no such method"
            )
            source.remove_method(call, "gradio")
        return
    present = {keyword.arg for keyword in constructor.keywords}
    takes = gradio.takes(constructor)
    moved = []
    for keyword in call.keywords:
        if takes is not None and keyword.arg in takes.names and keyword.arg not in present:
            moved.append(source.of(keyword))
        else:
            source.warnings.append(
                f"{source.name}, line {keyword.lineno}: .style({' '.join(source.of(keyword).split())}) is dropped: "
                "gradio 6 has no such argument"
            )
    if moved:
        source.insert_arguments(constructor, ", ".join(moved), "gradio")
    source.remove_method(call, "gradio")


def _edit_history(source: Source, gradio: Gradio) -> None:
    """Note that the chatbot gets messages instead of tuples, and that its ``postprocess`` stays its own."""
    assigns = [node for node in ast.walk(source.tree) if isinstance(node, ast.Assign)]
    chatbots = {"chatbot"} | {
        target.id
        for node in assigns
        if isinstance(node.value, ast.Call) and gradio.path(node.value.func) and last_name(node.value.func) == "Chatbot"
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in source.calls:
        if is_method(call, "append") and len(call.args) == 1 and last_name(call.func.value) in chatbots:
            turn = call.args[0]
            if isinstance(turn, ast.Tuple) and len(turn.elts) == 2:
                user, assistant = turn.elts
                messages = f"[{_message(source, 'user', user)}, {_message(source, 'assistant', assistant)}]"
                source.edit(source.method_name(call)[0], source.span(call)[1], f"extend({messages})", "gradio")
    for node in assigns:
        target = node.targets[0]
        if len(node.targets) > 1:
            continue
        if isinstance(target, ast.Attribute) and target.attr == "postprocess" and last_name(target.value) == "Chatbot":
            start, end = source.span(node)
            rest = source.text[end : (source.text + "\n").index("\n", end)]
            note = "" if rest.strip().startswith(";") else "  # " + " ".join(source.of(node).split())
            source.edit(start, end, "pass" + note, "gradio")
        elif (
            isinstance(target, ast.Subscript)
            and last_name(target.value) in chatbots
            and isinstance(node.value, ast.Tuple)
            and len(node.value.elts) == 2
            and ast.unparse(target.slice) == "-1"
        ):
            message = _message(source, "assistant", node.value.elts[1])
            source.edit(*source.span(node.value), message, "gradio")
