"""What site.yml must have brought about, asked of the hosts over SSH as the user who will chat."""

import json
import shlex
import time

import pytest

testinfra_hosts = ["ansible://chatglm"]

HOME = "/home/deploy/chatglm"
PORT = 7860
CUDART = {"bookworm": "libcudart.so.11.0", "trixie": "libcudart.so.12"}
CUBLASLT = {"bookworm": "libcublasLt.so.11", "trixie": "libcublasLt.so.12"}

CHAT = """
import json, sys
from gradio_client import Client
client = Client(sys.argv[1], verbose=False)
turns = []
for question in ("你好", "再说一遍"):
    steps = list(client.submit(question, turns, 256, 0.8, 0.95, api_name="/predict"))
    turns = steps[-1]
    print(json.dumps({"steps": len(steps), "turns": turns}))
"""


def python(host, code, *words, interpreter=f"{HOME}/venv/bin/python"):
    """Run Python code on the host; return its standard output."""
    # Outside of the launcher, which says so itself: an import of transformers would write into the user's home.
    done = host.run(f"HF_HOME=/tmp/huggingface {interpreter} -c %s {' '.join(map(shlex.quote, words))}", code)
    assert done.rc == 0, done.stderr
    return done.stdout.strip()


def record(host, name):
    return json.loads(host.file(f"{HOME}/state/{name}.json").content_string)


def test_the_connection_is_an_unprivileged_users_over_ssh(host):
    assert host.run("echo $SSH_CONNECTION").stdout.split()[3] == "22"
    assert host.user().name == "deploy"
    assert host.user().uid != 0


def test_cuda_libraries_load_the_way_cpm_kernels_finds_them(host):
    code = """
import ctypes, ctypes.util
for name in ("cudart", "cublasLt"):
    found = ctypes.util.find_library(name)
    ctypes.CDLL(found)
    print(found)
"""
    suite = host.system_info.codename
    if suite == "forky":
        assert host.run("dpkg-query --show 'libcudart*'").stdout == ""
        pytest.skip("forky's archive has none, and the virtualenv's CPU build of torch brings none")
    assert python(host, code).split() == [CUDART[suite], CUBLASLT[suite]]


def test_the_virtualenv_s_python_is_the_host_s_or_was_brought_along(host):
    suite = host.system_info.codename
    found = json.loads(python(host, "import json, sys; print(json.dumps([*sys.version_info[:2], sys.base_prefix]))"))
    assert found[:2] == [3, 11]
    assert (found[2] == "/usr") == (suite == "bookworm")
    assert found[2].startswith(f"{HOME}/") == (suite != "bookworm")
    own = {"bookworm": "3.11", "trixie": "3.13", "forky": "3.14"}
    assert host.check_output("/usr/bin/python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'") == own[suite]


def test_sudo_asks_for_a_password_and_forky_s_is_written_in_rust(host):
    assert host.run("sudo -n true").rc == 1
    rust = host.system_info.codename == "forky"
    assert host.run("sudo --version").stdout.startswith("sudo-rs " if rust else "Sudo version")


def test_no_driver_was_installed(host):
    listed = host.run("dpkg-query --show --showformat '${Package}\n'").stdout
    assert [name for name in listed.split() if name.startswith(("nvidia-driver", "libcuda1", "nvidia-kernel"))] == []


def test_the_environment_imports_what_the_demo_imports(host):
    code = "import torch, transformers, gradio, sentencepiece; print(torch.__version__, transformers.__version__)"
    torch, transformers = python(host, code).split()
    assert torch.endswith("+cpu")
    assert transformers == "4.41.2"
    assert python(host, "import torch; print(torch.cuda.is_available())") == "False"


def test_every_byte_of_the_weights_is_what_the_hub_announced(host):
    weights = record(host, "weights")
    assert any(entry["path"].endswith(".bin") for entry in weights["manifest"])
    for entry in weights["manifest"]:
        path = f"{weights['path']}/{entry['path']}"
        assert host.file(path).size == entry["size"], path
        if "sha256" in entry:
            assert host.run(f"sha256sum {path}").stdout.split()[0] == entry["sha256"], path
        else:
            assert host.run(f"git hash-object --no-filters {path}").stdout.strip() == entry["git_blob_id"], path


def test_the_clone_is_at_the_pinned_commit_and_only_web_demo_differs(host):
    # The subject of the proof names the commit that was asked for.
    head = host.run(f"git -C {HOME}/source rev-parse HEAD").stdout.strip()
    assert head == record(host, "proof")["subject"]["source"]
    assert host.run(f"git -C {HOME}/source diff --name-only HEAD").stdout.split() == ["web_demo.py"]


def test_the_chat_was_proven(host):
    proof = record(host, "proof")
    assert proof["verdict"] == "ok"
    assert all(verdict["ok"] for verdict in proof["verdicts"])
    assert all(proof["subject"][name] for name in ("model", "source", "web_demo", "weights", "virtualenv"))


@pytest.fixture
def listening(host):
    """Return where the page listens, which the service has started."""
    for _ in range(120):
        sockets = host.run("ss --tcp --listening --numeric --no-header").stdout.splitlines()
        if found := [line.split()[3] for line in sockets if line.split()[3].endswith(f":{PORT}")]:
            return found
        time.sleep(1)
    with host.sudo():
        log = host.run("journalctl --unit chatglm --no-pager --lines=40").stdout
    pytest.fail(f"the service shows no page:\n{log}")


def test_the_page_chats_and_listens_on_loopback_only(host, listening):
    assert listening == [f"127.0.0.1:{PORT}"]
    first, second = map(json.loads, python(host, CHAT, f"http://127.0.0.1:{PORT}/").splitlines())
    assert first["steps"] > 1, "the answer did not come step by step"
    assert [turn["role"] for turn in second["turns"]] == ["user", "assistant"] * 2
    assert all(str(turn["content"]).strip() for turn in second["turns"])


def test_everything_under_home_belongs_to_the_user(host):
    done = host.run("find /home/deploy ! -user deploy")
    assert (done.rc, done.stdout) == (0, "")
    assert host.file(f"{HOME}/venv/bin/python").exists


def test_nobody_else_can_write_there_or_read_a_secret(host):
    # uv opens its own lock file, which stays empty, to all.
    done = host.run(f"find {HOME} -perm /o+w ! -type l ! -path {HOME}/venv/.lock")
    assert (done.rc, done.stdout) == (0, "")
    # 1: nothing found; the stand-in hub asks for no token, so none may have been made up or left behind.
    places = f"{HOME}/state {HOME}/bin/chatglm-run {HOME}/source/web_demo.py"
    assert host.run(f"grep --recursive --quiet --binary-files=text -e hf_ {places}").rc == 1


def test_no_package_cache_doubles_the_disk_need(host):
    models = int(host.run(f"du --summarize --bytes {HOME}/models").stdout.split()[0])
    hub = host.run(f"du --summarize --bytes {HOME}/cache/huggingface 2>/dev/null").stdout.split()
    assert not hub or int(hub[0]) < models / 2
