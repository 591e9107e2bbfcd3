"""source_checkout against real repositories made here, over file:// and over HTTP by git's own http-backend."""

import base64
import http.server
import io
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from pathlib import Path

import patch_web_demo
import pytest
import source_checkout
from adhoc import adhoc
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.source.source_plan import explain, parse_raw_diff, parse_status
from source_host import PAGE, git

GIT = shutil.which("git")


@pytest.fixture
def origin(tmp_path):
    """Three commits: the page; another text beside it; the page changed, and a file more."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    (work / "web_demo.py").write_text(PAGE)
    (work / "cli_demo.py").write_text("print('cli')\nprint('end')\n")
    (work / "用户 手册.md").write_text("手册\n")
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "one")
    (work / "cli_demo.py").write_text("print('cli 2')\nprint('end')\n")
    git(work, "commit", "-q", "-a", "-m", "two")
    (work / "web_demo.py").write_text(PAGE.replace("gr.Chatbot()", "gr.Chatbot()  # newer"))
    (work / "more.py").write_text("print('more')\n")
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "three")
    return work


@pytest.fixture
def commits(origin):
    return git(origin, "rev-list", "--reverse", "HEAD").split()


@pytest.fixture
def params(tmp_path, origin, commits):
    return {
        "url": origin.as_uri(),
        "version": commits[0],
        "dest": str(tmp_path / "home" / "source"),
        "ca_bundle": "",
        "patches": str(tmp_path / "home" / "state"),
        "timeout": 60,
        "script": "",
    }


@pytest.fixture
def calls(monkeypatch):
    """The git commands that were run."""
    seen = []
    run = source_checkout.Checkout.run

    def spy(self, *args, **kwargs):
        seen.append(args[0])
        return run(self, *args, **kwargs)

    monkeypatch.setattr(source_checkout.Checkout, "run", spy)
    return seen


def patch(params, **change):
    values = {
        "path": params["dest"] + "/web_demo.py",
        "model_path": "/m/chatglm2",
        "device": "cpu",
        "listen": "127.0.0.1",
        "port": 7861,
        "password": "",
        "password_file": "",
        "engine": None,
        "to_be_restored": False,
        "record": params["patches"] + "/web_demo_patch.json",
        "launcher": None,
        "state": "patched",
    }
    return patch_web_demo.run({**values, **change}, False)


def listing(folder):
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def outside_git(files):
    return {path: data for path, data in files.items() if "/.git/" not in path}


def run(params):
    """Run in check mode, then for real; assert that the first changed nothing and that they agree on what matters."""
    home = Path(params["dest"]).parent
    before = listing(home)
    check = source_checkout.run(params, True, GIT)
    assert listing(home) == before
    real = source_checkout.run(params, False, GIT)
    for name in ("changed", "plan", "before", "after", "diff"):
        assert check.get(name) == real.get(name), name
    assert git(params["dest"], "rev-parse", "HEAD") == params["version"]
    assert not os.path.exists(params["dest"] + ".partial")
    assert not os.path.exists(params["dest"] + "/.git/" + source_checkout.MARKER)
    return real


def head(params):
    return git(params["dest"], "rev-parse", "HEAD")


def test_clone_then_nothing_with_one_git_call(params, calls):
    first = run(params)
    assert (first["changed"], first["plan"], first["before"]) == (True, "clone", "")
    assert git(params["dest"], "status", "--porcelain") == ""
    assert git(params["dest"], "rev-list", "--count", "--all") == "1"  # nothing but the commit was fetched
    calls.clear()
    second = run(params)
    assert (second["changed"], second["plan"], second["modified"]) == (False, "none", [])
    assert calls == ["status", "status"]  # check mode and real run


def test_empty_folder_is_taken(params):
    os.makedirs(params["dest"])
    assert run(params)["plan"] == "clone"


def test_our_patch_and_the_users_edits_are_told_apart_and_kept(params, calls):
    run(params)
    patch(params)
    calls.clear()
    result = run(params)
    assert (result["changed"], result["warnings"]) == (False, [])
    assert result["modified"] == [{"path": "web_demo.py", "kind": "patched"}]
    assert calls == ["status", "status"]
    assert result["edits"] == ""

    page, terminal = Path(params["dest"], "web_demo.py"), Path(params["dest"], "cli_demo.py")
    page.write_text(page.read_text() + "# mine\n")
    terminal.write_text("print('my own')\n")
    Path(params["dest"], "notes.txt").write_text("mine")
    before = listing(params["dest"])
    result = run(params)
    assert not result["changed"]
    assert result["modified"] == [
        {"path": "cli_demo.py", "kind": "edited"},
        {"path": "web_demo.py", "kind": "both"},
    ]
    assert "your own edits are kept: cli_demo.py, web_demo.py" in result["warnings"][0]
    assert outside_git(listing(params["dest"])) == outside_git(before)
    page.write_text(page.read_text() + "# more\n")  # its digest is another module's
    assert run(params)["edits"] == result["edits"] != ""
    terminal.write_text("print('more')\n")
    assert run(params)["edits"] != result["edits"]
    # an edit from before the patch counts as the user's as well
    page.write_text(PAGE + "# mine\n")
    os.unlink(params["patches"] + "/web_demo_patch.json")
    patch(params)
    assert {"path": "web_demo.py", "kind": "both"} in run(params)["modified"]


def test_another_commit_takes_the_patch_back_and_keeps_what_it_does_not_touch(params, commits):
    run(params)
    patch(params)
    manual = Path(params["dest"], "用户 手册.md")
    manual.write_text("mine\n")
    Path(params["dest"], "notes.txt").write_text("mine")
    result = run({**params, "version": commits[1]})  # does not touch the page
    assert (result["plan"], result["before"], result["after"]) == ("fetch", commits[0], commits[1])
    assert {"path": "web_demo.py", "kind": "patched"} in result["modified"]
    result = run({**params, "version": commits[2]})
    assert result["modified"] == [{"path": "用户 手册.md", "kind": "edited"}]
    assert manual.read_text() == "mine\n"
    assert "# newer" in Path(params["dest"], "web_demo.py").read_text()
    assert not os.path.exists(params["patches"] + "/web_demo_patch.json")
    assert patch(params)["changed"]
    assert run({**params, "version": commits[0]})["plan"] == "fetch"  # and back
    assert Path(params["dest"], "web_demo.py").read_text() == PAGE
    assert not Path(params["dest"], "more.py").exists()
    assert Path(params["dest"], "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("patched", [False, True])
def test_an_edit_that_would_be_overwritten_is_refused_with_commands_that_work(params, commits, patched, tmp_path):
    run(params)
    if patched:
        patch(params)
    page = Path(params["dest"], "web_demo.py")
    page.write_text(page.read_text().replace("import gradio as gr\n", "import gradio as gr  # mine\n"))
    Path(params["dest"], "more.py").write_text("mine\n")
    before = listing(params["dest"])
    new = {**params, "version": commits[2]}
    with pytest.raises(Failure) as caught:
        source_checkout.run(new, False, GIT)
    assert outside_git(listing(params["dest"])) == outside_git(before)
    assert head(params) == commits[0]
    assert "edited: web_demo.py; not tracked, and in the way: more.py" in caught.value.found
    with pytest.raises(Failure, match="would be overwritten"):  # now that the commit is here, check mode knows too
        source_checkout.run(new, True, GIT)
    commands, _, back = caught.value.remedy.removeprefix("keep yours aside: ").partition("; then run the play again")
    subprocess.run(["sh", "-ec", commands], check=True)
    run(new)
    assert Path(params["dest"], "more.py.mine").read_text() == "mine\n"
    if not patched:
        subprocess.run(["sh", "-ec", back.removeprefix(", and bring them back: ")], check=True, capture_output=True)
        assert "as gr  # mine" in page.read_text()
        assert "# newer" in page.read_text()


def test_local_commits_are_kept_as_a_branch(params, commits):
    run(params)
    Path(params["dest"], "cli_demo.py").write_text("print('mine')\n")
    git(params["dest"], "commit", "-q", "-a", "-m", "mine")
    mine = head(params)
    result = run({**params, "version": commits[1]})
    assert f"is kept as branch before-{commits[1][:12]}" in result["warnings"][0]
    assert git(params["dest"], "rev-parse", f"before-{commits[1][:12]}") == mine


def commit_mine(params, text):
    Path(params["dest"], "cli_demo.py").write_text(f"print({text!r})\n")
    git(params["dest"], "commit", "-q", "-a", "-m", text)
    return head(params)


def without_a_ref(params, *commits):
    """Those commits that nothing in the repository names."""
    named = git(params["dest"], "rev-list", "--all").split()
    return [commit for commit in commits if commit not in named]


@pytest.mark.parametrize(
    "between", ["nothing", "a tag of that name", "a branch of the user", "a branch below it", "a rival"]
)
def test_no_commit_of_the_user_is_ever_without_a_ref(params, commits, between):
    """The same branch was moved to the second commit: the first was on no ref, though both runs said "kept"."""
    run(params)
    base, kept, told = f"before-{commits[0][:12]}", [], []
    for text in ("one", "two", "three"):
        kept.append(commit_mine(params, text))
        if text == "two":
            if between == "a tag of that name":
                git(params["dest"], "tag", f"{base}-2")
            elif between == "a branch of the user":
                git(params["dest"], "branch", "mine")
            elif between == "a branch below it":
                git(params["dest"], "branch", f"{base}-2/mine", commits[0])
            elif between == "a rival":
                git(params["dest"], "branch", f"{base}-2", commits[0])
        told.append(run(params)["warnings"][0].rpartition(" ")[2])
        assert head(params) == commits[0]
        assert not without_a_ref(params, *kept)
        assert git(params["dest"], "rev-parse", f"refs/heads/{told[-1]}") == kept[-1]
    assert told[1] == {"a branch of the user": "mine", "a branch below it": f"{base}-3", "a rival": f"{base}-3"}.get(
        between, f"{base}-2"
    )


def test_a_fetch_of_everything_moves_no_ref_of_the_user(params, served, commits):
    """A server that gives no commit by its id made the run overwrite tags, and what was fetched from a fork."""
    served.modern = False
    git(served.root + "/demo.git", "tag", "v1", commits[2])
    params["url"] = f"http://127.0.0.1:{served.server_address[1]}/demo.git"
    run(params)
    mine = commit_mine(params, "mine")
    for ref in ("refs/tags/v1", "refs/remotes/origin/main"):
        git(params["dest"], "update-ref", ref, mine)
    git(params["dest"], "checkout", "-q", "--detach", commits[0])
    run({**params, "version": commits[1]})
    assert not without_a_ref(params, mine)
    assert {git(params["dest"], "rev-parse", ref) for ref in ("refs/tags/v1", "refs/remotes/origin/main")} == {mine}


@pytest.mark.parametrize("name", ["cli_demo.py", "more.py"])
@pytest.mark.parametrize("deleted", [False, True])
def test_what_was_staged_is_refused_with_commands_that_work(params, commits, name, deleted):
    """cli_demo.py is in both commits, more.py in the new one only; after rm the text is in the index alone."""
    run(params)
    place = Path(params["dest"], name)
    place.write_text("mine = 1\n")
    git(params["dest"], "add", name)
    if deleted:
        place.unlink()
    new = {**params, "version": commits[2]}
    told = failing(new).remedy
    assert not place.exists() if deleted else place.read_text() == "mine = 1\n"
    commands, _, back = told.removeprefix("keep yours aside: ").partition("; then run the play again")
    subprocess.run(["sh", "-ec", commands], check=True)
    run(new)
    if name == "more.py":
        assert Path(params["dest"], "more.py.mine").read_text() == "mine = 1\n"
    else:
        assert "+mine = 1" in Path(params["dest"]).with_name("my-edits.patch").read_text()
        assert "bring them back" in back


def test_gits_words_are_made_printable(params):
    """A broken packed-refs is quoted by git, byte for byte."""
    run(params)
    Path(params["dest"], ".git", "packed-refs").write_bytes(b"\0\x1b[31mgarbage\xff\n")
    Path(params["dest"], ".git", "HEAD").write_bytes(b"ref: refs/heads/\0\x07x\n")
    told = []
    result = source_checkout.run(params, False, GIT, told)
    assert result["plan"] == "rebuild"
    assert "git could not read" in told[0]
    assert all(char.isprintable() or char.isspace() for char in told[0]), ascii(told[0])


def test_a_garbled_index_is_mended_where_a_script_is_asked_for(params):
    run(params)
    Path(params["dest"], ".git", "index").write_text("junk\n")
    assert run({**params, "script": "web_demo.py"})["plan"] in ("restore", "rebuild")
    assert run({**params, "script": "web_demo.py"})["changed"] is False


def test_what_was_moved_is_told_where_the_run_then_fails(params, monkeypatch):
    """The rebuilt .git is in place, the old one aside, and the next git command fails."""
    run(params)
    Path(params["dest"], ".git", "HEAD").write_text("garbage\n")
    run_git = source_checkout.Checkout.run

    def failing_reset(self, *args, **kwargs):
        if args[0] == "reset":
            raise source_checkout.GitError(
                "git reset", "fatal: Unable to write new index file: No space left on device"
            )
        return run_git(self, *args, **kwargs)

    monkeypatch.setattr(source_checkout.Checkout, "run", failing_reset)
    told = []
    with pytest.raises(Failure, match="No space left"):
        source_checkout.run(params, False, GIT, told)
    assert f"the old .git is {params['dest']}.broken-git" in told[0]


@pytest.mark.parametrize("how", ["new and deleted", "edited and deleted"])
def test_what_was_staged_is_no_file_of_the_commit(params, how):
    """git add, then rm: the text is in the index alone."""
    run(params)
    name = "mine.py" if how == "new and deleted" else "cli_demo.py"
    Path(params["dest"], name).write_text("mine = 1\n")
    git(params["dest"], "add", name)
    Path(params["dest"], name).unlink()
    run(params)
    assert Path(params["dest"], name).read_text() == "mine = 1\n"
    assert not run(params)["changed"]


def test_a_clone_made_by_hand_is_taken_over(params, origin, commits, calls):
    subprocess.run(["git", "clone", "-q", origin.as_uri(), params["dest"]], check=True)
    assert not run({**params, "version": commits[2]})["changed"]
    result = run(params)
    assert "was on branch main, which is kept" in result["warnings"][0]
    assert git(params["dest"], "rev-parse", "main") == commits[2]
    assert "fetch" not in calls  # the commit was there
    assert not Path(params["dest"], ".git", "shallow").exists()


@pytest.mark.parametrize("how", ["deleted", "staged", "folder", "empty"])
def test_missing_files_come_back(params, how):
    run(params)
    patch(params)
    terminal = Path(params["dest"], "cli_demo.py")
    if how == "empty":
        terminal.write_text("")
    elif how == "staged":
        git(params["dest"], "rm", "-q", "cli_demo.py")
    else:
        terminal.unlink()
    if how == "folder":
        for path in Path(params["dest"]).glob("*.[pm]*"):
            path.unlink()
    result = run(params)
    assert (result["changed"], result["plan"]) == (True, "restore")
    assert "cli_demo.py" in result["restored"]
    assert "missing or half-written: cli_demo.py" in result["diff"]["before"]
    assert terminal.read_text().startswith("print('cli')")
    assert not run(params)["changed"]
    assert patch(params)["changed"] == (how == "folder")


def test_files_cut_short_by_an_interrupted_run_come_back_and_a_users_cut_stays(params):
    run(params)
    terminal = Path(params["dest"], "cli_demo.py")
    terminal.write_text("print('cli')\n")
    assert not run(params)["changed"]
    Path(params["dest"], ".git", source_checkout.MARKER).write_text("x")
    Path(params["dest"], ".git", "index.lock").write_text("")
    assert run(params)["restored"] == ["cli_demo.py"]
    assert terminal.read_text() == "print('cli')\nprint('end')\n"


def test_interrupted_change_of_commit_is_finished(params, commits):
    run(params)
    patch(params)
    git(params["dest"], "fetch", "-q", params["url"], commits[2])
    # as git leaves it when killed between writing files and writing the index
    Path(params["dest"], ".git", source_checkout.MARKER).write_text(commits[2])
    Path(params["dest"], ".git", "index.lock").write_text("")
    new = git(params["dest"], "cat-file", "blob", f"{commits[2]}:web_demo.py") + "\n"
    Path(params["dest"], "web_demo.py").write_text(new)
    Path(params["dest"], "cli_demo.py").write_text("print('cl")
    Path(params["dest"], "more.py").write_text("pri")
    assert run({**params, "version": commits[2]})["plan"] == "fetch"
    assert git(params["dest"], "status", "--porcelain") == ""


def test_interrupted_clone_is_made_again(params):
    partial = Path(params["dest"] + ".partial")
    (partial / ".git").mkdir(parents=True)
    (partial / "web_demo.py").write_text("half")
    assert run(params)["plan"] == "clone"


def test_fresh_lock_of_another_git_is_respected_and_an_old_one_is_not(params):
    run(params)
    Path(params["dest"], "cli_demo.py").unlink()
    lock = Path(params["dest"], ".git", "index.lock")
    lock.write_text("")
    with pytest.raises(Failure, match="another git command may be at work"):
        source_checkout.run(params, False, GIT)
    assert lock.exists()
    os.utime(lock, (1, 1))
    assert run(params)["plan"] == "restore"


@pytest.mark.parametrize("damage", ["index", "HEAD", "objects", "commit", "empty .git"])
def test_a_broken_repository_is_rebuilt_under_the_files(params, damage):
    run(params)
    patch(params)
    dest = Path(params["dest"])
    (dest / "notes.txt").write_text("mine")
    (dest / "用户 手册.md").write_text("手册 mine\n")
    page = (dest / "web_demo.py").read_bytes()
    store = dest / ".git"
    if damage == "index":
        (store / "index").write_bytes(b"DIRC garbage")
    elif damage == "HEAD":
        (store / "HEAD").write_text("")
    elif damage == "commit":  # HEAD names a commit that is not here, as after a power cut
        (store / "HEAD").write_text("1" * 40 + "\n")
    else:
        shutil.rmtree(store / "objects" if damage == "objects" else store)
        store.mkdir(exist_ok=True)
    (dest / "cli_demo.py").unlink()
    result = run(params)
    assert result["plan"] == "rebuild"
    assert result["restored"] == ["cli_demo.py"]
    assert {"path": "web_demo.py", "kind": "patched"} in result["modified"]
    assert (dest / "web_demo.py").read_bytes() == page
    assert (dest / "用户 手册.md").read_text() == "手册 mine\n"
    assert (dest / "notes.txt").read_text() == "mine"
    assert Path(params["dest"] + ".broken-git").is_dir()
    assert not run(params)["changed"]


def test_an_object_found_missing_only_while_restoring_leads_to_a_rebuild(params):
    run(params)
    dest = Path(params["dest"])
    for pack in (dest / ".git" / "objects" / "pack").glob("*.pack"):  # loose objects, to lose one
        moved = dest.parent / pack.name
        pack.rename(moved)
        pack.with_suffix(".idx").unlink()
        with moved.open("rb") as stream:
            subprocess.run(["git", "-C", str(dest), "unpack-objects", "-q"], stdin=stream, check=True)
        moved.unlink()
    blob = git(dest, "rev-parse", "HEAD:cli_demo.py")
    (dest / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    (dest / "cli_demo.py").unlink()
    result = source_checkout.run(params, False, GIT)
    assert (result["plan"], result["restored"]) == ("restore", ["cli_demo.py"])
    assert "rebuilt" in result["warnings"][0]
    assert not run(params)["changed"]


# -- errors


def failing(params, git_program=GIT, check_mode=False):
    with pytest.raises(Failure) as caught:
        source_checkout.run(params, check_mode, git_program)
    return caught.value


def test_occupied_folder(params):
    os.makedirs(params["dest"])
    Path(params["dest"], "mine").write_text("x")
    for check_mode in (True, False):
        failure = failing(params, check_mode=check_mode)
        assert "is no git repository" in failure.found
        assert failure.remedy.endswith(f"mv {params['dest']} {params['dest']}.mine")
    assert os.listdir(params["dest"]) == ["mine"]


def test_no_git(params):
    assert str(failing(params, None)) == (
        "Found: this host has no git. Expected: git 2.25 or newer. "
        "To do: sudo apt-get update; sudo apt-get install -y git"
    )


def test_branch_instead_of_commit(params):
    assert failing({**params, "version": "main"}).expected == "a full commit id of 40 hex digits"


def test_commit_that_is_not_there(params):
    failure = failing({**params, "version": "1" * 40})
    assert failure.found == f"{params['url']} has no commit {'1' * 40}"
    run(params)
    assert "has no commit" in failing({**params, "version": "1" * 40}).found
    assert head(params) == params["version"]


def test_repository_that_is_not_there(params, tmp_path):
    failure = failing({**params, "url": (tmp_path / "none").as_uri()})
    assert failure.expected == "a git repository at that address"


def test_host_that_does_not_answer(params):
    failure = failing({**params, "url": "http://127.0.0.1:9/x.git"})
    assert failure.expected == "the host of the repository to answer"
    assert not os.path.exists(params["dest"])


def test_missing_ca_bundle(params):
    assert "chatglm_ca_bundle /none.pem cannot be read" in failing({**params, "ca_bundle": "/none.pem"}).found


def test_time_limit(params, tmp_path):
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nsleep 30\n")
    slow.chmod(0o755)
    failure = failing({**params, "timeout": 1}, str(slow))
    assert "timed out after 1 seconds" in failure.found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # captured from git 2.39 (gnutls build), or from its source where so marked
        ("fatal: unable to access 'https://h/x/': Could not resolve host: h", "the host of the repository to answer"),
        (
            "fatal: unable to access 'https://h/': server certificate verification failed. CAfile: none CRLfile: none",
            "a certificate that this host trusts",
        ),
        (
            "fatal: unable to access 'https://h/': SSL certificate problem: self-signed certificate in chain",
            "a certificate that this host trusts",
        ),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", "without a password"),
        ("fatal: unable to get password from user", "without a password"),
        ("fatal: write error: No space left on device", "room on the disk"),
        ("fatal: repository 'https://h/x/' not found", "a git repository at that address"),
        ("fatal: remote error: upload-pack: not our ref 1111", "a commit of that repository"),
        (
            "fatal: unable to access 'https://h/': GnuTLS recv error (-110): The TLS connection was non-properly "
            "terminated.",
            "the host of the repository to answer",
        ),
        (
            "fatal: unable to access 'http://h/': Connection died, tried 5 times before giving up",
            "the host of the repository to answer",
        ),
        ("fatal: unable to access '/x/.git/config': Permission denied", "commit "),
        ("fatal: the remote end hung up unexpectedly", "the host of the repository to answer"),
        ("fatal: something new", "commit "),
    ],
)
def test_errors_are_named(text, expected):
    failure = explain(text, "https://h/x", "1" * 40, "git fetch")
    assert expected in failure.expected
    assert "chatglm_ca_bundle" in failure.remedy or "certificate" not in failure.expected


# -- over HTTP


class _Backend(http.server.BaseHTTPRequestHandler):
    """A small CGI host for git http-backend; ``server.token`` asks for a password, ``server.dumb`` for plain files."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.server.fault and self.fail(*self.server.fault):
            return
        if self.server.dumb:
            path = Path(self.server.root + self.path.partition("?")[0])
            self.reply(200 if path.is_file() else 404, [], path.read_bytes() if path.is_file() else b"")
            return
        token = base64.b64encode(b"u:p").decode()
        if self.server.token and self.headers.get("Authorization") != f"Basic {token}":
            self.reply(401, [("WWW-Authenticate", "Basic")], b"")
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": self.server.root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") if self.server.modern else "",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        done = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True)
        header, _, rest = done.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in header.decode().split("\r\n")]
        status = next((value for name, value in fields if name == "Status"), "200")
        self.reply(int(status[:3]), [field for field in fields if field[0] != "Status"], rest)

    def fail(self, kind, method="", value=0):
        """Do what a bad network does, to requests of one method or to all; return whether it was done."""
        self.close_connection = True
        if method not in ("", self.command):
            return False
        if kind == "html":
            self.reply(200, [("Content-Type", "text/html")], b"<!DOCTYPE html><html>Log in to this network.</html>")
        elif kind == "status":
            self.reply(value, [], b"no")
        elif kind == "loop":
            self.reply(302, [("Location", self.path)], b"")
        elif kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.rfile, self.wfile = io.BytesIO(), io.BytesIO()
        elif kind == "cut":
            self.reply(
                200, [("Content-Type", "application/x-git-upload-pack-result"), ("Content-Length", "9999")], b"0"
            )
        elif kind == "silent":
            self.server.release.wait(20)
        return True

    def reply(self, status, fields, body):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        if "Content-Length" not in dict(fields):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path, origin, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path))  # no global settings of the developer's
    git(tmp_path, "clone", "-q", "--bare", str(origin), "demo.git")
    git(tmp_path / "demo.git", "update-server-info")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Backend)
    server.root, server.token, server.modern, server.dumb = str(tmp_path), False, True, False
    server.fault, server.release = None, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()


def test_clone_and_change_over_http(params, served, commits):
    params["url"] = f"http://127.0.0.1:{served.server_address[1]}/demo.git"
    assert run(params)["plan"] == "clone"
    assert run({**params, "version": commits[2]})["plan"] == "fetch"
    assert "has no commit" in failing({**params, "version": "1" * 40}).found


@pytest.mark.parametrize("kind", ["old", "dumb"])
def test_server_that_gives_no_commit_by_id(params, served, commits, kind):
    served.modern = False  # protocol 0 offers the tips of branches only
    served.dumb = kind == "dumb"
    params["url"] = f"http://127.0.0.1:{served.server_address[1]}/demo.git"
    assert run(params)["plan"] == "clone"
    assert run({**params, "version": commits[1]})["plan"] == "fetch"
    assert "has no commit" in failing({**params, "version": "1" * 40}).found


WITHOUT_ANSWER = [("status", 429), ("status", 500), ("status", 503), ("loop",), ("reset",), ("cut",), ("silent",)]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (("html",), "no page of a proxy"),
        (("status", 403), "let this host read"),
        *((fault, "host of the repository to answer") for fault in WITHOUT_ANSWER),
    ],
)
def test_a_bad_network_is_told_and_the_next_run_goes_on(params, served, fault, expected, method):
    fault, later = (fault[0], method, *fault[1:]), git(served.root + "/demo.git", "rev-parse", "main")
    params.update(url=f"http://127.0.0.1:{served.server_address[1]}/demo.git", timeout=4)
    served.fault = fault
    told = [failing(params)]
    assert not Path(params["dest"]).exists()
    served.fault = None
    assert run(params)["plan"] == "clone"
    served.fault = fault
    told.append(failing({**params, "version": later}))
    assert run(params)["plan"] == "none", "the clone is as it was"
    served.fault = None
    assert run({**params, "version": later})["plan"] == "fetch"
    for failure in told:
        assert expected in failure.expected, failure
        assert "chatglm_source_url" in failure.remedy


def test_server_that_asks_for_a_password_is_an_error_and_no_prompt(params, served):
    served.token = True
    params["url"] = f"http://127.0.0.1:{served.server_address[1]}/demo.git"
    assert failing(params).expected == "a repository that can be read without a password"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_certificate_of_ones_own(params, served, tmp_path):
    key, pem = tmp_path / "key.pem", tmp_path / "ca.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(pem)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    served.socket = context.wrap_socket(served.socket, server_side=True)
    params["url"] = f"https://127.0.0.1:{served.server_address[1]}/demo.git"
    failure = failing(params)
    assert failure.expected == "a certificate that this host trusts"
    assert "chatglm_ca_bundle" in failure.remedy
    assert run({**params, "ca_bundle": str(pem)})["plan"] == "clone"


# -- parsing, and one real run


def test_status_forms():
    zero, one, two = "0" * 40, "1" * 40, "2" * 40
    seen = parse_status(
        f"# branch.oid {one}\0# branch.head (detached)\0"
        f"1 .M N... 100644 100644 100644 {one} {one} a b.py\0"
        f"1 .D N... 100644 100644 000000 {one} {one} gone\0"
        f"1 D. N... 100644 000000 000000 {one} {zero} staged\0"
        f"2 R. N... 100644 100644 100644 {one} {two} R100 new\0old\0"
        f"u UU N... 100644 100644 100644 100644 {one} {two} {two} both\0"
        "? other\0"
    )
    assert (seen.head, seen.branch) == (one, None)
    assert [(c.path, c.gone, c.staged, c.unmerged) for c in seen.changes] == [
        ("a b.py", False, False, False),
        ("gone", True, False, False),
        ("staged", True, True, False),
        ("new", False, True, False),
        ("both", False, True, True),
    ]
    assert seen.changes[2].index == one
    assert parse_status("# branch.oid (initial)\0# branch.head main\0").head is None
    with pytest.raises(ValueError, match="unexpected line"):
        parse_status("fatal: what\0")


def test_raw_diff_form():
    text = f":100644 100644 {'1' * 40} {'2' * 40} M\0a b\0:000000 100644 {'0' * 40} {'3' * 40} A\0c\0"
    assert parse_raw_diff(text) == {"a b": ("1" * 40, "2" * 40), "c": ("0" * 40, "3" * 40)}
    assert parse_raw_diff("") == {}


def test_real_run(params):
    code, result, _ = adhoc("source_checkout", params)
    assert (code, result["changed"], result["after"]) == (0, True, params["version"])
    code, result, _ = adhoc("source_checkout", {**params, "version": "main"}, "--check")
    assert code == 2
    assert "40 hex digits" in result["msg"]


# --- trust: what is in the clone is data --------------------------------------------------------------------------


def configure(params, name, value):
    git(params["dest"], "config", "--add", name, value)


def test_nothing_that_the_clone_configures_is_run(params, commits, tmp_path):
    """Hooks, filters, monitors, helpers: all of them would be run by a plain git."""
    run(params)
    dest = Path(params["dest"])
    ran = tmp_path / "ran"
    evil = tmp_path / "evil"
    evil.write_text(f'#!/bin/sh\necho "$0 $*" >> {ran}\n[ -t 0 ] || cat\n')
    evil.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "post-index-change", "reference-transaction", "fsmonitor-watchman"):
        for folder in (hooks, dest / ".git" / "hooks"):
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(evil.read_bytes())
            (folder / name).chmod(0o755)
    (dest / ".git" / "info").mkdir(exist_ok=True)
    (dest / ".git" / "info" / "attributes").write_text("* filter=evil diff=evil merge=evil\n")
    included = tmp_path / "more.config"
    included.write_text(f'[filter "other"]\n\tsmudge = {evil}\n\trequired = true\n')
    for name, value in {
        "core.fsmonitor": str(evil),
        "filter.evil.clean": str(evil),
        "filter.evil.smudge": str(evil),
        "filter.evil.required": "true",
        "diff.evil.command": str(evil),
        "diff.evil.textconv": str(evil),
        "diff.external": str(evil),
        "core.sshCommand": str(evil),
        "core.askPass": str(evil),
        "credential.helper": str(evil),
        "core.alternateRefsCommand": str(evil),
        "core.hooksPath": str(hooks),
        "protocol.ext.allow": "always",
        f"url.ext::{evil}.insteadOf": params["url"][:8],
        "include.path": str(included),
    }.items():
        configure(params, name, value)
    # The test can fail: so does git by itself.
    (dest / "cli_demo.py").write_text("edited = 1\n")
    subprocess.run([GIT, "-C", dest, "status"], capture_output=True)
    assert "evil" in ran.read_text()
    ran.unlink()

    assert run(params)["plan"] == "none"
    (dest / "cli_demo.py").unlink()
    assert run(params)["plan"] == "restore"
    assert not ran.exists()
    params["version"] = commits[1]
    # The address leads to a program, which is not run either: the clone stays where it was, in words.
    with pytest.raises(Failure):
        source_checkout.run(params, False, GIT)
    assert not ran.exists()
    git(dest, "config", "--unset-all", f"url.ext::{evil}.insteadOf")
    ran.unlink(missing_ok=True)
    assert run_real(params)["after"] == commits[1]
    assert not ran.exists()


def run_real(params):
    return source_checkout.run(params, False, GIT)


def test_a_working_tree_that_is_moved_elsewhere_is_refused(params, tmp_path):
    run(params)
    configure(params, "core.worktree", str(tmp_path))
    with pytest.raises(Failure) as caught:
        source_checkout.run(params, True, GIT)
    assert "git would write elsewhere" in caught.value.found
    subprocess.run(caught.value.remedy, shell=True, check=True)
    assert run(params)["plan"] == "none"


@pytest.mark.parametrize("version", ["2", "4"])
@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_edits_that_git_was_told_to_overlook_are_told_and_not_lost(params, commits, flag, version):
    run(params)
    dest = Path(params["dest"])
    git(dest, "update-index", "--index-version", version)
    git(dest, "update-index", flag, "web_demo.py", "cli_demo.py")
    assert run(params)["modified"] == []
    text = (dest / "web_demo.py").read_text() + "# mine\n"
    (dest / "web_demo.py").write_text(text)
    assert git(dest, "status", "--porcelain") == ""
    result = run(params)
    assert (result["plan"], result["modified"]) == ("none", [{"path": "web_demo.py", "kind": "edited"}])
    params["version"] = commits[2]
    with pytest.raises(Failure) as caught:
        source_checkout.run(params, False, GIT)
    assert "edited: web_demo.py" in caught.value.found
    assert (dest / "web_demo.py").read_text() == text


def test_a_stash_a_branch_and_untracked_files_survive_an_update_and_a_rebuild(params, commits):
    run(params)
    dest = Path(params["dest"])
    for name, value in {"user.name": "me", "user.email": "me@example.org"}.items():
        configure(params, name, value)
    (dest / "cli_demo.py").write_text("stashed = 1\n")
    git(dest, "stash")
    git(dest, "branch", "mine")
    (dest / "notes.txt").write_text("untracked\n")
    (dest / "mine").mkdir()
    (dest / "mine" / "model.py").write_text("untracked\n")
    params["version"] = commits[1]
    run_real(params)
    assert "stash@{0}" in git(dest, "stash", "list")
    assert git(dest, "rev-parse", "mine") == commits[0]
    (dest / ".git" / "HEAD").write_text("garbage\n")
    result = run_real(params)
    assert result["plan"] == "rebuild"
    # The old .git, stash and branch in it, is beside the clone, and the warning says where.
    aside = dest.with_name("source.broken-git")
    assert str(aside) in " ".join(result["warnings"])
    (aside / "HEAD").write_text(commits[0] + "\n")
    assert "stashed = 1" in git(dest, f"--git-dir={aside}", "stash", "show", "-p", "stash@{0}")
    assert git(dest, f"--git-dir={aside}", "rev-parse", "mine") == commits[0]
    assert (dest / "notes.txt").read_text() == (dest / "mine" / "model.py").read_text() == "untracked\n"


def test_a_password_in_the_address_goes_to_the_server_and_nowhere_else(params, served, commits, monkeypatch):
    """Arguments are open to all users of a host, and so may the clone's configuration be."""
    asked = []
    run_git = subprocess.Popen

    def spy(command, **options):
        asked.append((command, options.get("env") or {}))
        return run_git(command, **options)

    monkeypatch.setattr(source_checkout.subprocess, "Popen", spy)
    params["url"] = f"http://me:s3cret@127.0.0.1:{served.server_address[1]}/demo.git"
    source_checkout.run(params, False, GIT)
    assert not [command for command, _ in asked if "s3cret" in " ".join(command)]
    assert [env for _, env in asked if env.get("GIT_CONFIG_VALUE_0") == "Authorization: Basic bWU6czNjcmV0"]
    assert "s3cret" not in Path(params["dest"], ".git", "config").read_text()
    served.token = True  # it now demands u and p
    params.update(url=f"http://u:p@127.0.0.1:{served.server_address[1]}/demo.git", dest=params["dest"] + "2")
    assert source_checkout.run(params, False, GIT)["plan"] == "clone"


@pytest.mark.parametrize("there", [False, True], ids=["bare", "another commit"])
def test_a_commit_without_the_script_is_refused_before_anything_goes_to_it(params, commits, there):
    dest, asked = Path(params["dest"]), {**params, "version": commits[1], "script": "more.py"}
    if there:
        run_real({**params, "version": commits[2], "script": "more.py"})
    for _ in range(2):
        with pytest.raises(Failure) as caught:
            run_real(asked)
        assert caught.value.found == f"commit {commits[1]} of {params['url']} has no more.py"
        assert "another chatglm_app, or a chatglm_source_version" in caught.value.remedy
        assert git(dest, "rev-parse", "HEAD") == commits[2] if there else not list(dest.parent.glob("source*"))
    run_real({**asked, "script": ""})
    for check in (True, False):
        with pytest.raises(Failure, match=r"has no more\.py"):
            source_checkout.run(asked, check, GIT)
    # one of the user's own will do, and one that was deleted comes back
    (dest / "more.py").write_text("print('mine')\n")
    assert not run({**asked})["changed"]
    (dest / "web_demo.py").unlink()
    assert run({**asked, "script": "web_demo.py"})["restored"] == ["web_demo.py"]
