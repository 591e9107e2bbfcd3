"""The command ``chatglm`` on the host: thin over the service, the page and the doctor's playbook.

Runs on the host's own Python with copies of these modules beside it (role service writes them), so that it works
without the control side and without the virtualenv.
"""

from __future__ import annotations

import argparse
import contextlib
import grp
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from typing import Any

from ..core import lock
from ..core.failure import Failure
from ..core.files import read_json
from ..core.processes import port_free, port_owner
from ..core.version import VERSION
from ..language import translations
from ..language.messages import say, spoken, width
from ..smoke_test.page import Page, password_path, stored_password
from ..smoke_test.streamlit_page import client
from . import service, unit

COMMANDS = ("start", "stop", "restart", "status", "logs", "chat", "doctor", "where", "help")
LOAD_TIMEOUT = 900.0
LOCK_TIMEOUT = 10.0  # seconds; a run of the play may take an hour
LIBRARY = os.path.dirname(os.path.abspath(__file__))
STOPPED = 3  # as systemctl status


class Chat:
    """The installation that the command belongs to."""

    def __init__(self, home: str) -> None:
        """Read what role service wrote down."""
        self.home = home
        stored = read_json(service.settings_path(home))
        self.settings: dict[str, Any] = stored if isinstance(stored, dict) else {}
        self.url = str(self.settings.get("url") or "http://127.0.0.1:7860")
        self.app = str(self.settings.get("app") or "web_demo")
        self.language = spoken(str(self.settings.get("language") or "auto"), os.environ)

    def tell(self, code: str, **values: object) -> None:
        """Print a message of the catalogue."""
        print(self.phrase(code, **values), flush=True)

    def row(self, code: str, text: object) -> None:
        """Print a line of a table, its name padded by what a terminal shows of it."""
        name = say(self.language, f"command.{code}")
        print(f"{name}{' ' * max(1, 10 - width(name))}{text}", flush=True)

    def phrase(self, code: str, **values: object) -> str:
        """Return a message of the catalogue; commands in it have their whole path where the short name is not ours."""
        text, own = say(self.language, f"command.{code}", **values), os.path.join(self.home, "bin", "chatglm")
        if code == "help" or os.path.realpath(shutil.which("chatglm") or "/") == os.path.realpath(own):
            return text
        return re.sub(r"(?<![/\w'])chatglm (?=start|stop|restart)", lambda _: f"{shlex.quote(own)} ", text)

    def page(self, timeout: float = 600.0) -> Page:
        """Return a session with the page, signed in where it asks for that."""
        return client(self.app, self.url, timeout, self.home)

    def warn(self, text: str) -> None:
        """Write a line that a module gave, in the user's language."""
        print((self.language == "zh" and translations.chinese(text)) or text, file=sys.stderr)

    def state(self) -> dict[str, Any]:
        """Look at the service."""
        return service.observe(self.home)

    def kind(self, state: dict[str, Any]) -> str:
        """Return systemd, or background where there is no unit of this installation."""
        return "systemd" if state["kind"] == "systemd" else "background"

    def log_command(self, state: dict[str, Any]) -> list[str]:
        """Return the command that shows the log."""
        if self.kind(state) == "background":
            return ["tail", "--lines=100", service.place(self.home, "chatglm.log")]
        mine = set()
        for number in {*os.getgroups(), os.getegid()}:
            with contextlib.suppress(KeyError):
                mine.add(grp.getgrgid(number).gr_name)
        allowed = os.geteuid() == 0 or mine & {"adm", "systemd-journal"}
        return [*([] if allowed else ["sudo"]), "journalctl", "--no-pager", "--lines=100", f"--unit={unit.NAME}"]


def as_root(chat: Chat, *words: str) -> int:
    """Run systemctl as root, and say so before a password is asked for; return its exit status."""
    command = [*([] if os.geteuid() == 0 else ["sudo"]), "systemctl", *words]
    chat.tell("runs", command=shlex.join(command))
    return subprocess.run(command, check=False).returncode


def wait(chat: Chat, seconds: float = LOAD_TIMEOUT) -> int:
    """Wait until the page is there, or the service has ended; return the exit status of the command."""
    page, begin = chat.page(), time.monotonic()
    told = begin
    while time.monotonic() - begin < seconds:
        if page.status() == 200:
            chat.tell("open", url=chat.url)
            return 0
        if not chat.state()["active"]:
            chat.tell("ended", command=shlex.join(chat.log_command(chat.state())))
            return 1
        if time.monotonic() - told > 15:
            told = time.monotonic()
            chat.tell("loading", seconds=round(told - begin))
        time.sleep(0.5)
    chat.tell("silent", seconds=round(seconds), command=shlex.join(chat.log_command(chat.state())))
    return 1


def start(chat: Chat, options: argparse.Namespace) -> int:
    """Start the service, unless it runs."""
    if not chat.state()["active"]:
        # Two at once would start two; and what a run of the play is at needs the port and the memory.
        guard = {"lock": os.path.join(chat.home, "state", "lock"), "lock_timeout": LOCK_TIMEOUT}
        with lock.hold(guard, "starting the chat", chat.warn):
            state = chat.state()
            if not state["active"] and not launch(chat, state):
                return 1
    return 0 if options.no_wait else wait(chat)


def launch(chat: Chat, state: dict[str, Any]) -> bool:
    """Start the service, which does not run; tell whether that worked."""
    page = chat.page()
    if not port_free(page.host, page.port):
        chat.tell("taken", port=page.port, owner=port_owner(page.port))
        return False
    if chat.kind(state) == "systemd":
        # After too many crashes systemd starts nothing until that is forgotten.
        if state["show"].get("ActiveState") == "failed" and as_root(chat, "reset-failed", unit.NAME):
            return False
        return not as_root(chat, "start", unit.NAME)
    service.start_background(chat.home, sys.executable)
    return True


def stop(chat: Chat, _options: argparse.Namespace) -> int:
    """Stop the service; a page that was started by hand stays."""
    state = chat.state()
    if not state["active"]:
        chat.tell("not_running")
        return 0
    if chat.kind(state) == "systemd":
        return as_root(chat, "stop", unit.NAME)
    if service.stop_background(chat.home):
        chat.tell("stopped_now")
        return 0
    chat.tell("stays", pid=state["pid"])
    return 1


def restart(chat: Chat, options: argparse.Namespace) -> int:
    """Stop, then start."""
    return stop(chat, options) or start(chat, options)


def describe(chat: Chat, state: dict[str, Any]) -> str:
    """Return the state of the service in words."""
    word, why = service.condition(chat.home, state)
    return chat.phrase(word, kind=chat.phrase(chat.kind(state)), pid=state["pid"], why=why)


def status(chat: Chat, options: argparse.Namespace) -> int:
    """Tell whether the chat runs and answers; the exit status says it too."""
    state = chat.state()
    chat.row("chat", describe(chat, state))
    answer = chat.page().status()
    told = chat.phrase("answers") if answer == 200 else chat.phrase("answers_not", status=answer or "-")
    chat.row("page", f"{chat.url}  {told}")
    proof = read_json(os.path.join(chat.home, "state", "proof.json"))
    if isinstance(proof, dict):
        subject = proof.get("subject") or {}
        chat.row("model", subject.get("model", ""))
        good = proof.get("verdict") == "ok"
        chat.row("proof", proof.get("time", "") if good else chat.phrase("not_proven"))
    chat.row("log", shlex.join(chat.log_command(state)))
    if answer != 200:
        return 1 if state["active"] else STOPPED
    return ask_once(chat) if options.ask else 0


def ask_once(chat: Chat) -> int:
    """Ask one real question: a page that is there can still be dead."""
    begin = time.monotonic()
    answer = ask(chat, chat.page(), "你好")
    good = bool(answer)
    chat.row("answer", answer[:120] if good else chat.phrase("empty"))
    if good:
        chat.row("time", f"{time.monotonic() - begin:.1f} s")
    return 0 if good else 1


def ask(chat: Chat, page: Page, question: str) -> str:
    """Return the answer of the page or the API to one question.

    Raises:
        Failure: no complete answer came.

    """
    return page.ask(page.endpoint(), question, [], 256).answer.strip()


def logs(chat: Chat, options: argparse.Namespace) -> int:
    """Show the end of the log, or follow it."""
    command = chat.log_command(chat.state())
    if command[0] == "tail" and not os.path.exists(command[-1]):
        chat.tell("no_log", path=command[-1])
        return 1
    return subprocess.run([*command, *(["--follow"] if options.follow else [])], check=False).returncode


def converse(chat: Chat, _options: argparse.Namespace) -> int:
    """Chat in the terminal, through the page that runs."""
    page = chat.page()
    if page.status() != 200:
        chat.tell("start_first")
        return 1
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401, PLC0415 - gives input() a history
    endpoint = page.endpoint()
    if sys.stdin.isatty():
        chat.tell("how")
    messages: list[dict[str, Any]] = []
    while True:
        try:
            question = input("> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            return 0
        if question in ("clear", "清空"):
            page.close()
            messages, page = [], chat.page()
            continue
        if question in ("exit", "quit", "退出"):
            return 0
        if question:
            messages = page.ask(endpoint, question, messages, 8192, Printer()).messages
            print(flush=True)


class Printer:
    """Print an answer as it grows; a part that was changed after it was shown is shown again on a new line."""

    def __init__(self) -> None:
        """Nothing is shown yet."""
        self.shown = ""

    def __call__(self, text: str) -> None:
        """Show what is new."""
        if not text.startswith(self.shown):
            print(flush=True)
            self.shown = ""
        print(text[len(self.shown) :], end="", flush=True)
        self.shown = text


def doctor(chat: Chat, options: argparse.Namespace) -> int:
    """Run the doctor's playbook where the project is on this machine; else say where to run it."""
    control = chat.settings.get("control") or {}
    command = ["./bootstrap", "ansible-playbook", "playbooks/doctor.yml"]
    for source in control.get("inventory") or []:
        command += ["-i", str(source)]
    for name, value in sorted((control.get("settings") or {}).items()):
        command += ["-e", f"{name}={value}"]
    folder = str(control.get("path") or "")
    if folder and os.access(os.path.join(folder, "bootstrap"), os.X_OK):
        if stored_password(chat.home):  # read over there: nobody shall see it among the arguments
            lookup = f"{{{{ lookup('ansible.builtin.file', {password_path(chat.home)!r}) }}}}"
            command += ["-e", json.dumps({"chatglm_page_password": lookup})]
        return subprocess.run([*command, *options.rest], cwd=folder, check=False).returncode
    chat.tell("elsewhere", host=control.get("host") or "?", path=folder or "?", command=shlex.join(command))
    return 1


def where(chat: Chat, _options: argparse.Namespace) -> int:
    """List what lies where."""
    state = chat.state()
    chat.row("version", VERSION)
    chat.row("folder", chat.home)
    chat.row("page", chat.url)
    chat.row("weights", os.path.join(chat.home, "models"))
    chat.row("log", shlex.join(chat.log_command(state)))
    if state["kind"] == "systemd":
        chat.row("unit", unit.PATH)
    control = chat.settings.get("control") or {}
    chat.row("project", f"{control.get('host') or '?'}:{control.get('path') or '?'}")
    return 0


ACTIONS = {
    "start": start,
    "stop": stop,
    "restart": restart,
    "status": status,
    "logs": logs,
    "chat": converse,
    "doctor": doctor,
    "where": where,
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command with its options; what is not understood is ``help``."""
    parser = argparse.ArgumentParser(prog="chatglm", add_help=False)
    parser.add_argument("command", nargs="?", default="help")
    parser.add_argument("--ask", action="store_true")
    parser.add_argument("--no-wait", action="store_true")
    parser.add_argument("-f", "--follow", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    options, rest = parser.parse_known_args(arguments)
    options.rest = rest
    if options.help or (options.rest and options.command != "doctor"):
        options.command = "help"
    return options


def main(home: str, arguments: list[str]) -> int:
    """Run the command; return its exit status."""
    chat = Chat(home)
    options = parse(arguments)
    worker = os.path.join(LIBRARY, "libcuda_worker.py")

    def gpu(sleep: Any) -> str:
        return service.gpu_trouble(worker, sleep) if chat.settings.get("device") == "cuda" else ""

    try:
        if options.command == "serve":
            return service.serve(home)
        if options.command == "supervise":
            return service.supervise(home, gpu)
        if options.command == "wait-gpu":
            trouble = gpu(time.sleep)
            print(trouble, file=sys.stderr)
            return 1 if trouble else 0
        if options.command in ACTIONS:
            return ACTIONS[options.command](chat, options)
        chat.tell("help")
        return 0 if arguments in ([], ["help"], ["-h"], ["--help"]) else 2
    except Failure as failure:
        told = translations.failure(str(failure)) if chat.language == "zh" else ""
        print(told or failure, file=sys.stderr)
    except (OSError, ValueError) as error:
        print(f"chatglm: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print()
        return 130
    return 1
