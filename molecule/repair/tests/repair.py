"""One fault on one copy: what was planted, named, announced, done; and the judgement of that, which is pure."""

import dataclasses
import difflib
import fnmatch
import json
import os
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import yaml
from copies import Copy

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = ROOT / "molecule" / "repair"
HOME = "/home/deploy/chatglm"
NOTHING = "nothing: all is as it was"
# The demo's own working folders, and the records that every proof writes.
WORKING = ("cache/*", "run/*", "*/__pycache__/*", "*/__pycache__")
RECORDS = (
    "state/proof.json",
    "state/seal.json",
    "state/*lock",
    "state/service.json",
    "venv/.lock",
    "venv/.chatglm-env.json",
)
# A role whose difference shows what it will have proven: ids that only the real run can know.
RECORDING = ("smoke_test",)
PLAY_LIMIT = 900  # seconds

# What a user has of their own in these folders; no repair may touch it.
BELONGINGS = f"""
cd {HOME}
echo 'my notes' > models/chatglm2-tiny-int4/notes.txt
echo 'my line' >> source/README.md
echo 'print("mine")' > source/mine.py
site=$(echo venv/lib/python3*/site-packages)
mkdir -p "$site/my_package" "$site/my_package-1.0.dist-info"
echo 'MINE = True' > "$site/my_package/__init__.py"
printf 'Metadata-Version: 2.1\\nName: my-package\\nVersion: 1.0\\n' > "$site/my_package-1.0.dist-info/METADATA"
printf 'my_package/__init__.py,,\\nmy_package-1.0.dist-info/METADATA,,\\nmy_package-1.0.dist-info/RECORD,,\\n' \
    > "$site/my_package-1.0.dist-info/RECORD"
"""
PLANT = f"""
H={HOME}
S=$(echo $H/venv/lib/python3*/site-packages)
M=$H/models/chatglm2-tiny-int4
B=$M/pytorch_model.bin
uv() {{ UV_SYSTEM_CERTS=1 $H/bin/uv --no-cache --quiet "$@" --python=$H/venv/bin/python; }}
wait_for() {{ for _ in $(seq 100); do "$@" 2>/dev/null && return; sleep 0.1; done; return 1; }}
"""


@dataclasses.dataclass(frozen=True)
class Fault:
    """An entry of faults.yml, whose head explains the fields."""

    id: str
    like: str
    plant: str = ""
    root: bool = False
    vars: dict = dataclasses.field(default_factory=dict)
    options: tuple = ()
    doctor: dict = dataclasses.field(default_factory=dict)
    host: str = ""
    more: bool = False
    outcome: str = "healed"
    by: str = "preflight"
    proof: bool = True
    unshown: tuple = ()
    replaced: tuple = ()
    bytes: int = 30_000
    words: tuple = ()


def faults():
    """Return the entries of faults.yml, in its order."""
    found = [Fault(**entry) for entry in yaml.safe_load((SCENARIO / "faults.yml").read_text(encoding="utf-8"))]
    names = [fault.id for fault in found]
    assert len(set(names)) == len(names), "two faults of the same id"
    assert all(fault.outcome in ("healed", "fine", "refused") for fault in found)
    assert all(fault.words or fault.outcome != "refused" for fault in found), "a refusal without words"
    return found


def chosen():
    """Return the faults that CHATGLM_REPAIR names ("all", or ids with blanks between), else those of the usual run."""
    wanted = os.environ.get("CHATGLM_REPAIR", "").split()
    everything = faults()
    unknown = set(wanted) - {"all"} - {fault.id for fault in everything}
    assert not unknown, f"no such fault: {unknown}"
    return [fault for fault in everything if fault.id in wanted or "all" in wanted or (not wanted and not fault.more)]


@dataclasses.dataclass
class Play:
    """A run of a playbook: its exit status, output, seconds, and a record of every task."""

    status: int
    output: str
    seconds: float
    tasks: list

    @property
    def changes(self):
        """The roles in which something changed, and each difference shown: {(role, header, before, after)}."""
        found = set()
        for task in self.tasks:
            if task["status"] != "changed":
                continue
            found.add((task["role"], "", "", ""))
            shown = task["result"].get("diff") or []
            if task["role"] in RECORDING:
                continue
            for part in [shown] if isinstance(shown, dict) else shown:
                header = str(part.get("after_header") or part.get("before_header") or "")
                if "prepared" in part:
                    found.add((task["role"], header, "", part["prepared"]))
                elif part.get("before") != part.get("after"):
                    found.add((task["role"], header, text(part.get("before")), text(part.get("after"))))
        return found

    @property
    def roles(self):
        return sorted({change[0] for change in self.changes})

    @property
    def message(self):
        """What failed tasks said."""
        return "\n".join(str(task["result"].get("msg", "")) for task in self.tasks if task["status"] == "failed")


@dataclasses.dataclass
class Inventory:
    """Runs playbooks against one address as the user would, over SSH; a context, which ends the connection."""

    name: str
    address: str
    key: str

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="repair-")
        place = Path(self.folder.name)
        (place / "group_vars").symlink_to(ROOT / "inventory" / "demo" / "group_vars")
        host = {
            "ansible_host": self.address,
            "ansible_user": "deploy",
            "ansible_ssh_private_key_file": self.key,
        }
        hosts = {"all": {"children": {"chatglm": {"hosts": {self.name: host}}}}}
        (place / "hosts.yml").write_text(yaml.safe_dump(hosts))
        return self

    def __exit__(self, *_exc):
        for control in Path(self.folder.name).glob("cp/*"):
            subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={control}", "-"], capture_output=True)
        self.folder.cleanup()

    def play(self, playbook, *words, **variables):
        """Run a playbook of the repository; return the Play."""
        place = Path(self.folder.name)
        record = place / "tasks"
        record.unlink(missing_ok=True)
        given = [f"--extra-vars={json.dumps(variables)}"] if variables else []
        command = ["ansible-playbook", ROOT / playbook, f"--inventory={place / 'hosts.yml'}"]
        command += [f"--extra-vars=@{SCENARIO / 'settings.yml'}", *given, *words]
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOST_KEY_CHECKING": "false",
            "ANSIBLE_CALLBACK_PLUGINS": f"{ROOT / 'callback_plugins'}:{SCENARIO / 'callback'}",
            "ANSIBLE_CALLBACKS_ENABLED": "doctor,task_record",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(place / "cp"),
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=/dev/null",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORCE_COLOR": "0",
            "CHATGLM_TASK_RECORD": str(record),
        }
        begin = time.monotonic()
        try:
            done = subprocess.run(
                [str(word) for word in command],
                env=env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=PLAY_LIMIT,
            )
            status, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired as late:
            status, output = -1, f"no end within {PLAY_LIMIT} s\n{(late.stdout or b'').decode(errors='replace')}"
        tasks = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        return Play(status, output, time.monotonic() - begin, tasks)


def text(value):
    """Return a difference's side as text, whatever the module gave."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1)


def differing(announced, made):
    """Return what only one of two sets of changes holds, as lines of a diff for each role and header."""
    lines = []
    for place in sorted({change[:2] for change in announced ^ made}):
        sides = [
            [
                line
                for change in sorted(side)
                if change[:2] == place
                for part in change[2:]
                for line in part.splitlines()
            ]
            for side in (announced, made)
        ]
        lines += [*place, *difflib.unified_diff(*sides, "announced", "made", n=0, lineterm="")]
    return "\n".join(lines)


def matches(name, patterns):
    """Tell whether a path relative to chatglm_home fits one of the globs; `*` crosses folders."""
    return any(fnmatch.fnmatchcase(name, pattern.replace("**/", "*")) for pattern in patterns)


def files(*homes):
    """Return {path relative to its home: status} of everything below; any write changes it (ctime, inode)."""
    found = {}
    folders = [(str(home), str(home)) for home in homes]
    while folders:
        folder, home = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            found[os.path.relpath(folder, home)] = "a file" if os.path.exists(folder) else "absent"
            continue
        for entry in entries:
            name = os.path.relpath(entry.path, home)
            if matches(name, WORKING):
                continue
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                folders.append((entry.path, home))
                found[name] = f"folder {status.st_mode:o} {status.st_uid}"
            elif stat.S_ISLNK(status.st_mode):
                found[name] = f"-> {os.readlink(entry.path)}"
            else:
                found[name] = (
                    f"{status.st_mode:o} {status.st_uid} {status.st_ino} {status.st_size} "
                    f"{status.st_mtime_ns} {status.st_ctime_ns}"
                )
    return found


def touched(before, after):
    """Return the sorted paths that are new, gone or other."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


@dataclasses.dataclass
class Seen:
    """What happened with one fault."""

    host: str
    seconds: float = 0.0
    trouble: str = ""
    planted: float = 0.0  # time of the planting
    report: dict = dataclasses.field(default_factory=dict)  # of the doctor, this host's
    doctor: Play | None = None
    preview: Play | None = None
    repair: Play | None = None
    again: Play | None = None
    by_looking: list = dataclasses.field(default_factory=list)  # touched by the doctor and the preview
    by_repair: list = dataclasses.field(default_factory=list)
    by_again: list = dataclasses.field(default_factory=list)
    received: dict = dataclasses.field(default_factory=dict)
    proof: dict = dataclasses.field(default_factory=dict)

    @property
    def named(self):
        """{code: verdict} of what the doctor found wrong."""
        checks = self.report.get("checks", [])
        return {check["code"]: check["verdict"] for check in checks if check["verdict"] in ("repairable", "yours")}


def treat(fault, base, key):
    """Plant a fault on a fresh copy of ``base`` and see what becomes of it."""
    seen = Seen(base)
    begin = time.monotonic()
    try:
        copy = Copy(base, fault.options)
        with Inventory(base, copy.address, key) as host:
            _treat(fault, copy, host, seen)
    except Exception as error:  # told as this fault's; the others go on
        seen.trouble = f"{type(error).__name__}: {error}"
    seen.seconds = time.monotonic() - begin
    return seen


def _treat(fault, copy, host, seen):
    places = [Path(f"{copy.root}{home}") for home in (HOME, fault.vars.get("chatglm_home", HOME))]
    seen.planted = time.time()
    planted = copy.shell(PLANT + fault.plant, "root" if fault.root else "deploy")
    if planted.returncode:
        seen.trouble = f"planting failed: {planted.stdout}{planted.stderr}"
        return
    before = files(*places)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "doctor.json"
        seen.doctor = host.play("playbooks/doctor.yml", doctor_report=str(report), **fault.vars)
        if report.exists():
            seen.report = json.loads(report.read_text())["hosts"][host.name]
    seen.preview = host.play("site.yml", "--check", "--diff", **fault.vars)
    looked = files(*places)
    seen.by_looking = touched(before, looked)
    so_far = copy.received()
    seen.repair = host.play("site.yml", "--diff", **fault.vars)
    seen.received = {name: count - so_far[name] for name, count in copy.received().items()}
    after = files(*places)
    seen.by_repair = touched(looked, after)
    if fault.outcome != "refused" and seen.repair.status == 0:
        seen.proof = json.loads((places[-1] / "state" / "proof.json").read_text())
        seen.again = host.play("site.yml", "--diff", **fault.vars)
        seen.by_again = touched(after, files(*places))


def judge(fault, seen, proven):
    """Return what is wrong with the treatment of a fault, in words; [] when nothing is.

    Args:
        fault: the entry.
        seen: what happened.
        proven: when the proof that was found was made, seconds since the epoch; 0 for none.

    """
    if seen.trouble:
        return [seen.trouble]
    wrong = []
    if seen.named != fault.doctor:
        wrong.append(f"the doctor named {seen.named}, not {fault.doctor}")
    status = 2 if "yours" in fault.doctor.values() else 1 if fault.doctor else 0
    if seen.doctor.status != status:
        wrong.append(f"the doctor's exit status is {seen.doctor.status}, not {status}")
    if seen.by_looking:
        wrong.append(f"looking changed {seen.by_looking}")
    if fault.outcome == "refused":
        # What only a download shows, a preview cannot know.
        looks = [("preview", seen.preview)] if fault.by == "preflight" else []
        for name, play in [*looks, ("run", seen.repair)]:
            if play.status == 0 or play.roles:
                wrong.append(f"the {name} ended with {play.status}, changes in {play.roles}; a refusal was due")
            if missing := [word for word in map(str, fault.words) if word not in play.message]:
                wrong.append(f"the {name}'s message lacks {missing}: {play.message}")
            if (last := play.tasks[-1]["role"] if play.tasks else "") != fault.by:
                wrong.append(f"the {name} was refused by {last or 'nobody'}, not {fault.by}")
        # A role that works takes the lock, which is a note of who did last.
        allowed = () if fault.by == "preflight" else ("state/lock", *fault.replaced)
        if other := [name for name in seen.by_repair if not matches(name, allowed)]:
            wrong.append(f"the refused run changed {other}")
        return wrong
    if seen.preview.status or seen.repair.status:
        wrong.append(f"exit status: preview {seen.preview.status}, run {seen.repair.status}: {seen.repair.message}")
        return wrong
    announced, made = (
        {change for change in play.changes if not any(change[1:]) or change[0] not in fault.unshown}
        for play in (seen.preview, seen.repair)
    )
    if other := differing(announced, made):
        wrong.append(f"announced {seen.preview.roles}, changed {seen.repair.roles}: {other[:4000]}")
    if bool(seen.repair.changes) != (fault.outcome == "healed"):
        wrong.append(f"the run changed {seen.repair.roles}")
    due = fault.outcome == "healed" and fault.proof
    if due and (proven < seen.planted - 1 or seen.proof.get("verdict") != "ok"):
        wrong.append(f"the chat was not proven anew: {seen.proof.get('verdict')} at {seen.proof.get('time')}")
    if not due and proven > seen.planted:
        wrong.append(f"the chat was proven anew, which was not due, at {seen.proof.get('time')}")
    allowed = (*fault.replaced, *RECORDS)
    if other := [name for name in seen.by_repair if not matches(name, allowed)]:
        wrong.append(f"{len(other)} other files changed: {other[:20]}")
    if sum(seen.received.values()) > fault.bytes:
        wrong.append(f"{seen.received} bytes were received, {fault.bytes} allowed")
    if seen.again.status or seen.again.changes or seen.by_again:
        wrong.append(f"a further run: {seen.again.status}, {seen.again.roles}, {seen.by_again}: {seen.again.message}")
    if NOTHING not in seen.again.output:
        wrong.append("a further run did not find the installation as it was sealed")
    return wrong
