"""The systemd unit of the chat: its text, and what systemctl says of it. Pure.

A system unit that runs as the user, and no user unit: a user manager may not set up most of the sandbox (devices,
addresses, capabilities), and it starts with the distribution only where lingering was switched on, which needs root
too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = "chatglm.service"
PATH = f"/etc/systemd/system/{NAME}"
OUT_OF_MEMORY = 86
"""Exit status of the chat when memory ran out: another try would end the same way, and has blue-screened Windows."""
STARTS, PERIOD = 5, 3600
"""No more than so many starts in so many seconds; longer than they take together with the pauses."""
WRITABLE = ("cache", "run", "state/service")
"""Folders below chatglm_home in which a running chat writes."""
SHOWN = ("LoadState", "ActiveState", "SubState", "Result", "MainPID", "NRestarts", "UnitFileState", "ExecMainStatus")
_HOME = re.compile(r"^# chatglm_home: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Settings:
    """What the unit is made from; all paths absolute.

    Attributes:
        home: folder of the installation.
        user: who the chat runs as.
        python: the system's own interpreter, for the command.
        device: cuda or cpu.
        loopback: whether the page listens on a loopback address, so that nothing else need be reached.
        readable: folders below /home or /root that the chat needs, such as the interpreter's.

    """

    home: str
    user: str
    python: str
    device: str
    loopback: bool
    readable: tuple[str, ...] = ()


def quote(path: str) -> str:
    """Return ``path`` as one word of a unit file: no specifier, variable, quote or space in it counts."""
    text = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if re.search(r"[\s\"'\\;:]", text) else text


def bound(path: str) -> str:
    """Return ``path`` as one word of BindPaths and the like, whose colons part source and destination.

    systemd 262 takes such a word apart once more, so that a quote that was escaped in quotes of its kind ends there.
    """
    if '"' in path and "'" not in path:
        text = path.replace("\\", "\\\\").replace("%", "%%")
        word = f"'{text}'"
    else:
        word = quote(path)
    return word.replace(":", "\\:")


def home_of(text: str) -> str:
    """Return the folder whose installation a unit file belongs to; empty for a foreign one."""
    found = _HOME.search(text)
    return found.group(1) if found else ""


def render(settings: Settings) -> str:
    """Return the text of the unit file."""
    command = f"{quote(settings.python)} -IB " + quote(f"{settings.home}/bin/chatglm").replace("$", "$$")
    writable = [bound(f"{settings.home}/{name}") for name in WRITABLE]
    wait = f"ExecStartPre={command} wait-gpu\n" if settings.device == "cuda" else ""
    binds = "".join(f"BindReadOnlyPaths={bound(path)}\n" for path in settings.readable)
    closed = "IPAddressDeny=any\nIPAddressAllow=localhost\n" if settings.loopback else ""
    return f"""\
# The ChatGLM2-6B chat. Written by Ansible (role service): changes here are overwritten by the next run.
# chatglm_home: {settings.home}
[Unit]
Description=ChatGLM2-6B chat
After=network.target nvidia-persistenced.service
StartLimitIntervalSec={PERIOD}
StartLimitBurst={STARTS}

[Service]
Type=exec
User={settings.user}
WorkingDirectory={settings.home.replace("%", "%%")}
{wait}ExecStart={command} serve
TimeoutStartSec=180
TimeoutStopSec=20
# The command passes the end on to the page; what is left is killed.
KillMode=mixed
Restart=on-failure
RestartSec=10
# Memory ran out, the GPU's or the host's: not again.
RestartPreventExitStatus={OUT_OF_MEMORY}
# Rather this than what else the user runs.
OOMScoreAdjust=500

# Files: all is read-only, other homes and Windows' drives are not there.
UMask=0077
ProtectSystem=strict
ProtectHome=tmpfs
TemporaryFileSystem=/mnt:ro
PrivateTmp=yes
BindReadOnlyPaths={bound(settings.home)}
{binds}BindPaths={" ".join(writable)}
ReadWritePaths={" ".join(writable)}
# Through it WSL starts programs of Windows.
InaccessiblePaths=-/run/WSL

# Devices: the GPU's and no others, of WSL (dxg) and of a driver for Linux.
DevicePolicy=closed
DeviceAllow=/dev/dxg rw
DeviceAllow=char-nvidia* rw

# Rights. MemoryDenyWriteExecute is left out: torch, oneDNN and libcuda write the code that they run.
CapabilityBoundingSet=
NoNewPrivileges=yes
LockPersonality=yes
KeyringMode=private
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

# The kernel and other processes.
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible

# Network: the page is local.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
{closed}
[Install]
WantedBy=multi-user.target
"""


def parse_show(text: str) -> dict[str, str]:
    """Return the properties that ``systemctl show`` printed, by name."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, mark, value in pairs if mark and name in SHOWN}
