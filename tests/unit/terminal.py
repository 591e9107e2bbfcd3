"""A terminal for tests: runs a command on a pseudo-terminal and reads what its screen shows."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
import unicodedata

CODE = re.compile(r"\x1b\[(\d*)([AJKm]|;\d*m)|\x1b\[[\d;]*m")


class Terminal:
    """The screen: it knows the few codes that are allowed here, and refuses every other (to hide the cursor, say).

    Compared by hand with the package pyte on the recorded output of test_progress.py.
    """

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.cells = [[" "] * columns for _ in range(rows)]
        self.x = self.y = 0
        self.rest = ""

    def feed(self, text):
        text, self.rest = self.rest + text, ""
        at = 0
        while at < len(text):
            char = text[at]
            if char == "\x1b":
                found = CODE.match(text, at)
                if not found:
                    assert re.fullmatch(r"\x1b(\[[\d;]*)?", text[at:]), repr(text[at : at + 20])
                    self.rest = text[at:]
                    return
                self.code(int(found[1] or 0), found[2])
                at = found.end()
                continue
            at += 1
            if char == "\n":
                self.down()
            elif char == "\r":
                self.x = 0
            else:
                assert char.isprintable(), repr(char)
                self.put(char)

    def code(self, number, what):
        if what == "A":
            self.y = max(0, self.y - (number or 1))
        elif what == "K":
            assert number == 0
            self.cells[self.y][self.x :] = [" "] * (self.columns - self.x)
        elif what == "J":
            assert number == 0
            self.code(0, "K")
            for row in range(self.y + 1, self.rows):
                self.cells[row] = [" "] * self.columns

    def down(self):
        if self.y == self.rows - 1:
            self.cells = [*self.cells[1:], [" "] * self.columns]
        else:
            self.y += 1

    def put(self, char):
        wide = 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if self.x + wide > self.columns:
            self.x = 0
            self.down()
        self.cells[self.y][self.x : self.x + wide] = [char] + [""] * (wide - 1)
        self.x += wide

    def lines(self):
        return [line for line in ("".join(row).rstrip() for row in self.cells) if line]


def run(command, env, *, columns=100, rows=40, interrupt=None, limit=120):
    """Run a command; return its status, the last screen, and the screens between.

    Args:
        interrupt: Ctrl+C is typed as soon as this returns True of a screen's lines.

    """
    child, handle = pty.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as in a terminal, also where these tests run in the background
        os.execvpe(command[0], [str(word) for word in command], {**env, "TERM": "xterm"})
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    screen, screens, data, end = Terminal(columns, rows), [], b"", time.monotonic() + limit
    while time.monotonic() < end:
        if not select.select([handle], [], [], 0.2)[0]:
            # At rest: nothing half-written is on the screen.
            if not screens or screens[-1] != screen.lines():
                screens.append(screen.lines())
            if interrupt and interrupt(screens[-1]):
                os.write(handle, b"\x03")
                interrupt = None
            continue
        try:
            data += os.read(handle, 65536)
        except OSError:
            break
        text = data.decode("utf-8", "ignore")
        data = data[len(text.encode()) :]
        screen.feed(text)
    else:
        os.kill(child, 9)
    os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), screen, screens
