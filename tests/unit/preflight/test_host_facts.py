"""The module host_facts and the program that asks libcuda, run for real on the machine that runs the tests."""

import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import host_facts
import pytest
from ansible.module_utils.chatglm.preflight import libcuda_worker

GPU = {
    "name": "NVIDIA GeForce RTX 3060 Laptop GPU",
    "capability": "8.6",
    "memory_total": 6 << 30,
    "memory_free": 5 << 30,
}
# What a machine that runs the tests need not have, given so that only the subject of the test decides.
FIT = {
    "wsl": 0,
    "architecture": "x86_64",
    "git": "/usr/bin/git",
    "gcc": "/usr/bin/gcc",
    "pythons": [{"path": "/usr/bin/python3.11", "version": "3.11.2", "minor": "3.11"}],
    "memory": {"available": 16 << 30},
    "disk": {"free": 1 << 40},
}


@pytest.fixture
def run(run_module):
    return partial(run_module, host_facts)


@pytest.fixture
def free_port():
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return attempt.getsockname()[1]


def test_this_machine(run, tmp_path, free_port):
    answer = run(home=str(tmp_path / "chatglm"), device="cpu", port=free_port)
    facts = answer["facts"]
    assert answer["changed"] is False
    assert facts["kernel"] == Path("/proc/sys/kernel/osrelease").read_text().strip()
    assert facts["uid"] == os.getuid()
    assert facts["disk"]["path"] == str(tmp_path)
    assert facts["disk"]["free"] > 0
    assert facts["disk"]["type"]
    assert facts["memory"]["total"] >= facts["memory"]["available"] > 0
    assert facts["port"] == {"free": True, "error": "", "owner": None}
    assert facts["clock"]["sane"]
    assert not (tmp_path / "chatglm").exists()


def test_through_ansible(tmp_path):
    """As a host runs it: packed by Ansible, from which the program that asks libcuda has to be read too."""
    program = shutil.which("ansible", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    root = Path(__file__).parents[3]
    options = ["-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
    done = subprocess.run(
        [program, "localhost", "-m", "host_facts", "-a", f"home={tmp_path}/x device=cpu", *options],
        cwd=root,
        env={
            **os.environ,
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_LOCAL_TEMP": str(tmp_path),
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout.partition("=>")[2])
    assert answer["changed"] is False
    libcuda = answer["facts"]["nvidia"]["libcuda"]
    assert libcuda["path"] or "cannot open shared object file" in libcuda["error"]


def test_plan_and_check_mode_agree(run, tmp_path, free_port):
    options = {"home": str(tmp_path), "device": "cpu", "port": free_port, "inject": FIT}
    answer, checked = run(**options), run(check=True, **options)
    assert answer["refusals"] == []
    assert answer["plan"]["device"] == "cpu"
    assert answer["plan"]["python"] == {"path": "/usr/bin/python3.11", "version": "3.11", "source": "host"}
    assert checked["plan"] == answer["plan"]
    assert list(tmp_path.iterdir()) == []


def test_injected_gpu(run, tmp_path, free_port):
    given = {**FIT, "gpus": [GPU], "nvidia": {"driver": "535.1", "driver_cuda": 12020}}
    answer = run(home=str(tmp_path), port=free_port, inject=given)
    assert answer["plan"]["torch"] == "2.7.1"
    assert answer["plan"]["gpu"]["index"] == 0
    assert answer["warnings_found"][-1].startswith("not observed but given (preflight_inject): architecture, disk, gcc")


def test_no_gpu_is_refused(run, tmp_path, free_port):
    given = {**FIT, "gpus": [], "nvidia": {"libcuda": {"path": "", "error": "not there", "code": 0}}}
    answer = run(home=str(tmp_path), port=free_port, inject=given)
    assert [refusal["code"] for refusal in answer["refusals"]] == ["no_gpu"]
    assert "-e chatglm_device=cpu" in answer["refusals"][0]["text"]
    assert answer["plan"] == {}
    assert not answer.get("failed")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"home": "chatglm"},
            "Found: home is 'chatglm'. Expected: an absolute path. To do: set chatglm_home to one",
        ),
        ({"port": 0}, "Found: port is 0. Expected: a number from 1 to 65535. To do: set chatglm_port to one"),
        ({"ca_bundle": "/nowhere.pem"}, "Found: ca_bundle is /nowhere.pem, which cannot be read. Expected"),
        ({"environment_gb": {"cpu": "big"}}, "Found: environment_gb holds could not convert string to float: 'big'."),
        ({"inject": {"gpu": []}}, "Found: inject names gpu. Expected: names of facts: architecture, clock"),
        ({"inject": {"memory": 5}}, "Found: inject has a value of the wrong shape (TypeError: "),
        ({"inject": {"gpus": [1]}}, "Found: inject has a value of the wrong shape (TypeError: "),
        ({"device": "tpu"}, "value of device must be one of: auto, cuda, cpu, got: tpu"),
    ],
)
def test_wrong_options(run, tmp_path, options, message):
    answer = run(**{"home": str(tmp_path), **options})
    assert answer["failed"]
    assert answer["msg"].startswith(message)


def test_port_owner(run, tmp_path):
    """A process of ours that listens is told with pid and command; started from home it is our own demo."""
    program = (
        "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen();"
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as server:
        port = int(server.stdout.readline())
        owner = {"pid": server.pid, "ours": True}
        answer = run(home=str(tmp_path), port=port)
        facts = answer["facts"]["port"]
        stranger = run(home=str(tmp_path / "x"), port=port)
        server.stdin.close()
    assert facts["free"] is False
    assert {name: facts["owner"][name] for name in owner} == owner
    assert "socket.socket" in facts["owner"]["command"]
    assert facts["owner"]["service"] is False
    assert f"started by hand, process {server.pid}" in answer["by_hand"]
    assert stranger["by_hand"] == ""
    assert "port" in [refusal["code"] for refusal in stranger["refusals"]]


def test_address_of_another_host(run, tmp_path):
    port = run(home=str(tmp_path), listen="192.0.2.1")["facts"]["port"]
    assert port["free"] is False
    assert "assign" in port["error"]


def test_file_in_the_way(run, tmp_path):
    (tmp_path / "chatglm").write_text("x")
    disk = run(home=str(tmp_path / "chatglm" / "deep"))["facts"]["disk"]
    assert (disk["path"], disk["blocked_by"]) == (str(tmp_path), str(tmp_path / "chatglm"))


def test_installed(run, tmp_path):
    site = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    (site / "torch-2.13.0+cpu.dist-info").mkdir(parents=True)
    (site / "torchvision-0.1.dist-info").mkdir()
    (tmp_path / "models" / "m").mkdir(parents=True)
    (tmp_path / "models" / "m" / "a.bin").write_bytes(b"x" * 8192)
    with open(tmp_path / "models" / "m" / "holes.bin", "wb") as stream:
        stream.write(b"x" * 4096)
        stream.truncate(1 << 30)
    (tmp_path / "state").mkdir()
    told = []
    for record in (
        {"verdict": "ok", "settings": {"device": "cpu"}},
        {"verdict": "failed", "settings": {"device": "cuda"}},
        {"verdict": "ok", "settings": []},
        [],
    ):
        (tmp_path / "state" / "proof.json").write_text(json.dumps(record))
        installed = run(home=str(tmp_path))["facts"]["installed"]
        told.append((installed["tried"], installed["proven"], installed["proven_on"]))
    assert told == [(True, True, "cpu"), (True, False, "cuda"), (True, True, ""), (False, False, "")]
    assert installed["torch"] == "cpu"
    assert 8192 + 4096 <= installed["weights"] < 1 << 20


@pytest.fixture
def server():
    """An HTTP server that answers every HEAD with 404."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(302 if self.path == "/away" else 404)
            self.send_header("Location", "http://192.0.2.1/")
            self.end_headers()

        def log_message(self, *_):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def test_sources(run, tmp_path, server, free_port, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    groups = [
        {"name": "a", "urls": [f"{server}/x", f"{server}/away", f"http://127.0.0.1:{free_port}/"]},
        {"name": "b", "urls": [f"http://127.0.0.1:{free_port}/", "git@host:x"]},
        {"name": "c", "urls": ["git@host:x"]},
    ]
    answer = run(home=str(tmp_path), check_sources=groups)
    told = answer["facts"]["sources"]
    assert [[(url["reachable"], url["status"]) for url in group["urls"]] for group in told] == [
        [(True, 404), (True, 302), (False, 0)],
        [(False, 0)],
    ]
    assert [refusal["found"].partition(":")[0] for refusal in answer["refusals"] if refusal["code"] == "sources"] == [
        "b"
    ]
    assert run(home=str(tmp_path), check_sources=groups, check_sources_when="never")["facts"]["sources"] == []
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "proof.json").write_text('{"verdict": "failed"}')
    assert run(home=str(tmp_path), check_sources=groups)["facts"]["sources"] == []
    assert run(home=str(tmp_path), check_sources=groups, check_sources_when="always")["facts"]["sources"] == told


def test_python_asked(run, tmp_path):
    (found,) = run(home=str(tmp_path), python=sys.executable)["facts"]["pythons"]
    assert found["version"] == ".".join(map(str, sys.version_info[:3]))
    assert found["asked"] is True
    assert run(home=str(tmp_path), python="/nowhere/python3")["facts"]["pythons"] == []


def test_broken_shim_is_passed_over(tmp_path, monkeypatch):
    """As pyenv leaves them: a python3.12 that says it is not there."""
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert str(shim) not in [python["path"] for python in host_facts.find_pythons("")]


def test_interpreter_of_the_virtualenv_comes_first(run, tmp_path):
    real = Path(sys.executable).resolve()
    versioned = real.with_name(f"python{sys.version_info[0]}.{sys.version_info[1]}")
    if not versioned.exists():
        pytest.skip(f"{versioned} does not exist here")
    (tmp_path / "venv").mkdir()
    version = ".".join(map(str, sys.version_info[:3]))
    (tmp_path / "venv" / "pyvenv.cfg").write_text(f"home = {real.parent}\nversion = {version}\n")
    (found,) = run(home=str(tmp_path))["facts"]["pythons"]
    assert (found["version"], found["in_use"]) == (version, True)

    # What the virtualenv's record says goes before what was written into pyvenv.cfg since: that one is not run.
    evil = tmp_path / "evil" / versioned.name
    evil.parent.mkdir()
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    evil.chmod(0o755)
    good = tmp_path.joinpath("venv", "pyvenv.cfg").read_text()
    (tmp_path / "venv" / ".chatglm-env.json").write_text(json.dumps({"pyvenv": good}))
    (tmp_path / "venv" / "pyvenv.cfg").write_text(good.replace(str(real.parent), str(evil.parent)))
    (found,) = run(home=str(tmp_path))["facts"]["pythons"]
    assert (found["version"], found["in_use"]) == (version, True)
    assert not (tmp_path / "ran").exists()


SMI = '#!/bin/sh\ncase "$1" in *compute_cap*) {new} ;; *) {old} ;; esac\n'


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ("echo 'GPU-1, 6144, 5216, 528.79, 8.6, RTX 3060'", "exit 9", ("", "", "8.6", "528.79")),
        (
            "echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2",
            "echo 'GPU-1, 6144, 5216, 460.89, GTX 1060'",
            ("", "", "", "460.89"),
        ),
        (
            "echo 'GPU access blocked by the operating system'; exit 17",
            "",
            ("GPU access blocked by", "blocked", "", ""),
        ),
        ("exit 3", "", ("exit status 3", "other", "", "")),
    ],
)
def test_nvidia_smi(tmp_path, monkeypatch, new, old, expected):
    program = tmp_path / "nvidia-smi"
    program.write_text(SMI.format(new=new, old=old or "exit 1"))
    program.chmod(0o755)
    monkeypatch.setattr(host_facts.nvidia, "SMI_PATHS", (str(program),))
    answer = host_facts.ask_smi()
    error, trouble, capability, driver = expected
    assert answer["error"].startswith(error)
    assert answer["trouble"] == trouble
    if driver:
        assert (answer["gpus"][0]["capability"], answer["gpus"][0]["driver"]) == (capability, driver)


LIBRARY = """
#include <stdlib.h>
#include <string.h>
int cuInit(unsigned flags) { %s }
int cuDriverGetVersion(int *v) { *v = 12000; return 0; }
int cuDeviceGetCount(int *n) { *n = 2; return 0; }
int cuDeviceGet(int *d, int i) { *d = i; return 0; }
int cuDeviceGetName(char *n, int l, int d) { strncpy(n, d ? "Tesla T4" : "RTX 3060", l); return 0; }
int cuDeviceTotalMem_v2(size_t *b, int d) { *b = 6441926656UL; return 0; }
int cuDeviceGetUuid(unsigned char *u, int d) { for (int i = 0; i < 16; i++) u[i] = i; return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 8 - d : a == 76 ? 6 - d : 0; return 0; }
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="compiles a stand-in for libcuda: no gcc here")
@pytest.mark.parametrize(
    ("init", "error", "gpus"),
    [
        ("return 0;", "", ["8.6", "7.5"]),
        ("return 100;", "cuInit answered 100", []),
        ("abort();", "crashed with signal 6", []),
        ("*(volatile int *)0 = 1; return 0;", "crashed with signal 11", []),
        ("for (;;);", "no answer within 1 s", []),
    ],
)
def test_libcuda(tmp_path, monkeypatch, init, error, gpus):
    source, library = tmp_path / "cuda.c", tmp_path / "libcuda.so.1"
    source.write_text(LIBRARY % init)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    monkeypatch.setattr(host_facts, "DRIVER_TIMEOUT", 1.0 if "for" in init else 20.0)
    answer = host_facts.ask_libcuda(str(library))
    assert error in answer["error"]
    assert bool(answer["error"]) is bool(error)
    assert [gpu["capability"] for gpu in answer["gpus"]] == gpus
    assert answer["path"] == str(library)
    if gpus:
        assert answer["driver_cuda"] == 12000
        assert answer["gpus"][0] == {
            "name": "RTX 3060",
            "uuid": "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f",
            "memory_total": 6441926656,
            "capability": "8.6",
        }


def test_libcuda_absent():
    answer = libcuda_worker.ask("libcuda-that-is-not-there.so.1")
    assert "cannot open shared object file" in answer["error"]
    assert answer["gpus"] == []
