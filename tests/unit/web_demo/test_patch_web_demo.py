"""patch_web_demo as a module: files, check mode, record, launcher, and one real run through ansible."""

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import patch_web_demo
import pytest
from adhoc import adhoc
from ansible.module_utils.chatglm.core.failure import Failure
from test_web_demo_patch import OPENAI

ROOT = Path(__file__).resolve().parents[3]
LAUNCHER = ROOT / "roles" / "web_demo" / "files" / "chatglm-run"
# Written for these tests, in upstream's form.
PAGE = """\
import gradio as gr
from transformers import AutoModel, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True)
model = AutoModel.from_pretrained("THUDM/chatglm2-6b", trust_remote_code=True).cuda()
with gr.Blocks() as demo:
    gr.Chatbot()
demo.queue().launch(share=False, inbrowser=True)
"""


@pytest.fixture
def params(tmp_path):
    page = tmp_path / "source" / "web_demo.py"
    page.parent.mkdir()
    page.write_text(PAGE)
    page.chmod(0o640)
    return {
        "path": str(page),
        "model_path": "/m/x",
        "device": "cpu",
        "listen": "127.0.0.1",
        "port": 7861,
        "password": "",
        "to_be_restored": False,
        "password_file": str(tmp_path / "state" / "page_password"),
        "record": str(tmp_path / "state" / "web_demo_patch.json"),
        "launcher": {"path": str(tmp_path / "bin" / "chatglm-run"), "content": "#!/bin/sh\n"},
        "engine": {"path": str(tmp_path / "lib" / "engine"), "files": {"__init__.py": "from . import a\n", "a.py": ""}},
        "state": "patched",
    }


def listing(folder):
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def both(params, tmp_path):
    """Run in check mode, then for real; assert that the first changed nothing and that they agree."""
    before = listing(tmp_path)
    check = patch_web_demo.run(params, True)
    assert listing(tmp_path) == before
    real = patch_web_demo.run(params, False)
    assert check == real
    return real


def test_what_would_stand_in_front_of_the_engine_is_put_aside(params, tmp_path):
    both(params, tmp_path)
    folder = tmp_path / "lib" / "engine"
    (folder / "a").mkdir()
    (folder / "a" / "__init__.py").write_text("mine")
    (folder / "a.so").write_text("also mine")
    (folder / "__pycache__").mkdir()
    found = both(params, tmp_path)
    assert found["changed"]
    assert found["warnings"] == [
        f"{folder}/{name} is not the engine's: it goes to {folder}.kept" for name in ("a", "a.so")
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["__init__.py", "__pycache__", "a.py"]
    assert (tmp_path / "lib" / "engine.kept" / "a" / "__init__.py").read_text() == "mine"
    assert not both(params, tmp_path)["changed"]


def test_patch_again_other_settings_and_back(params, tmp_path):
    first = both(params, tmp_path)
    assert first["changed"]
    page = Path(params["path"])
    assert first["sha256"] == patch_web_demo.sha256_bytes(page.read_bytes())
    assert [edit["line"] for edit in first["edits"]] == [3, 4, 4, 7, 7]
    assert first["edits"][2] == {"line": 4, "kind": "device", "before": "cuda()", "after": "float()"}
    assert first["diff"][0]["before"] == PAGE
    assert first["diff"][0]["before_header"] == params["path"]
    assert stat.S_IMODE(page.stat().st_mode) == 0o640
    assert stat.S_IMODE(os.stat(params["launcher"]["path"]).st_mode) == 0o755

    files = listing(tmp_path)
    times = page.stat().st_mtime_ns, os.stat(params["record"]).st_mtime_ns
    second = both(params, tmp_path)
    assert (second["changed"], second["diff"]) == (False, [])
    assert listing(tmp_path) == files
    assert times == (page.stat().st_mtime_ns, os.stat(params["record"]).st_mtime_ns)

    third = both({**params, "port": 80}, tmp_path)
    assert third["changed"]
    assert "server_port=80)" in page.read_text()

    back = both({**params, "state": "original", "launcher": None}, tmp_path)
    assert back["changed"]
    assert page.read_text() == PAGE
    assert not os.path.exists(params["record"])
    again = both({**params, "state": "original", "launcher": None}, tmp_path)
    assert not again["changed"]
    assert again["warnings"] == ["web_demo.py: no record of a patch was found, so there is nothing to revert"]


def test_launcher_that_lost_its_mode_or_text_is_mended(params, tmp_path):
    patch_web_demo.run(params, False)
    launcher = Path(params["launcher"]["path"])
    launcher.write_text("#!/bin/false\n")
    result = both(params, tmp_path)
    assert result["changed"]
    assert result["diff"][0]["before"] == "#!/bin/false\n"
    launcher.chmod(0o644)
    if os.geteuid():  # root may execute only what someone may, so this holds for it too, but access() says otherwise
        assert both(params, tmp_path)["changed"]
    patch_web_demo.run(params, False)
    assert os.access(launcher, os.X_OK)


def test_check_mode_does_not_look_at_a_script_that_would_be_restored_first(params, tmp_path):
    Path(params["path"]).write_text("")
    with pytest.raises(Failure, match="no call that loads the model"):
        patch_web_demo.run(params, True)
    announced = patch_web_demo.run({**params, "to_be_restored": True}, True)
    assert announced["changed"]
    Path(params["path"]).write_text(PAGE)  # as source_checkout then has done
    assert patch_web_demo.run({**params, "to_be_restored": True}, False)["edits"]


def test_check_mode_before_the_clone_is_a_change_and_a_real_run_a_failure(params, tmp_path):
    os.unlink(params["path"])
    params["launcher"] = None
    result = patch_web_demo.run(params, True)
    assert result["changed"]
    assert "does not exist yet" in result["msg"]
    with pytest.raises(Failure, match=r"web_demo\.py does not exist"):
        patch_web_demo.run(params, False)


def test_refused_script_stays_as_it_is(params, tmp_path):
    Path(params["path"]).write_text("def f(:\n")
    before = listing(tmp_path)
    for check_mode in (True, False):
        with pytest.raises(Failure, match=r"web_demo\.py, line 1: Python cannot parse it"):
            patch_web_demo.run(params, check_mode)
    assert listing(tmp_path) == before


def test_users_edit_after_the_patch_is_carried_through_the_record(params, tmp_path):
    patch_web_demo.run(params, False)
    page = Path(params["path"])
    page.write_text(page.read_text() + "print('bye')\n")
    result = both(params, tmp_path)
    assert not result["changed"]  # the record was brought up to date, the script needs nothing
    both({**params, "state": "original"}, tmp_path)
    assert page.read_text() == PAGE + "print('bye')\n"


def test_link_stays_a_link(params, tmp_path):
    page = Path(params["path"])
    real = tmp_path / "elsewhere.py"
    page.rename(real)
    page.symlink_to(real)
    both(params, tmp_path)
    assert page.is_symlink()
    assert "/m/x" in real.read_text()


def test_damaged_record_is_reported_and_not_used(params, tmp_path):
    patch_web_demo.run(params, False)
    Path(params["record"]).write_text('{"record": "web_demo_patch"}')
    result = both(params, tmp_path)
    assert not result["changed"]
    assert "is no intact record" in result["warnings"][0]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"port": 0}, "port 0"),
        ({"port": 65536}, "port 65536"),
        ({"model_path": "models/x"}, "the path 'models/x'"),
        ({"record": "r.json"}, "the path 'r.json'"),
    ],
)
def test_wrong_values_are_named(params, change, found):
    with pytest.raises(Failure) as caught:
        patch_web_demo.run({**params, **change}, False)
    assert caught.value.found == found


@pytest.mark.parametrize(
    ("listen", "warned"),
    [("127.0.0.1", False), ("127.1.2.3", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("pc", True)],
)
def test_listening_to_others_is_warned_of(params, listen, warned):
    result = patch_web_demo.run({**params, "listen": listen}, True)
    assert any("others on that network" in text for text in result["warnings"]) == warned


@pytest.mark.parametrize(
    ("script", "asks"),
    [
        (PAGE, 'auth=("chatglm", open("{}").read().strip())'),
        (OPENAI, 'app.add_middleware(Guard, key_file="{}")'),
    ],
    ids=["page", "openai"],
)
def test_a_password_is_kept_from_others_and_asked_for(params, tmp_path, script, asks):
    Path(params["path"]).write_text(script)
    opened = {**params, "listen": "0.0.0.0", "password": "geheim-12345"}
    result = both(opened, tmp_path)
    assert not any("without a password" in text for text in result["warnings"])
    kept = Path(params["password_file"])
    assert kept.read_text() == "geheim-12345"
    assert kept.stat().st_mode & 0o777 == 0o600
    text = Path(params["path"]).read_text()
    assert asks.format(kept) in text
    assert "geheim" not in text + Path(params["record"]).read_text() + str(result)
    assert not patch_web_demo.run(opened, False)["changed"]
    assert both({**opened, "password": "another-12345"}, tmp_path)["changed"]
    assert kept.read_text() == "another-12345"
    assert both(params, tmp_path)["changed"]
    assert not kept.exists()
    assert str(kept) not in Path(params["path"]).read_text()
    assert "geheim" not in Path(params["record"]).read_text()


def test_unwritable_record_leaves_the_script(params, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(patch_web_demo, "write_json", refuse)
    with pytest.raises(Failure, match="No space left on device"):
        patch_web_demo.run(params, False)
    assert Path(params["path"]).read_text() == PAGE


def test_real_run(params):
    code, result, text = adhoc("patch_web_demo", params, "--check")
    assert (code, result["changed"]) == (0, True)
    code, result, text = adhoc("patch_web_demo", {**params, "listen": "0.0.0.0"})
    assert (code, result["changed"]) == (0, True)
    assert len(result["edits"]) == 5
    assert "without a password" in " ".join(text.split())
    Path(params["path"]).write_text("x =\n")
    code, result, text = adhoc("patch_web_demo", params)
    assert code == 2
    assert "web_demo.py, line 1" in result["msg"]


def installation(home):
    """An installed home, as far as the launcher looks; returns the launcher."""
    (home / "bin").mkdir(parents=True)
    (home / "venv" / "bin").mkdir(parents=True)
    script = home / "bin" / "chatglm-run"
    script.write_bytes(LAUNCHER.read_bytes())
    script.chmod(0o755)
    python = home / "venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "page $*"\n')
    python.chmod(0o755)
    (home / "state").mkdir()
    code = home / "models" / "m" / "modeling.py"
    code.parent.mkdir(parents=True)
    code.write_text("pass\n")
    sums = home / "state" / "weights.sha256"
    sums.write_text(f"{hashlib.sha256(code.read_bytes()).hexdigest()}  ../models/m/modeling.py\n")
    (home / "state" / "proof.json").write_text("{}")
    return script


def test_launcher_sets_the_environment(tmp_path):
    home = tmp_path / "a home"
    script = installation(home)
    link = tmp_path / "link"
    link.symlink_to(script)
    env = {
        "PATH": os.environ["PATH"],
        "all_proxy": "socks5://h",
        "HTTP_PROXY": "http://h",
        "no_proxy": "localhost,127.0.0.1,[::1]",
        "SSL_CERT_FILE": "/gone.pem",
        "REQUESTS_CA_BUNDLE": "/gone.pem",
        "PYTHONPATH": "/elsewhere",
        "HF_HUB_OFFLINE": "0",
    }
    env |= {"HF_MODULES_CACHE": "/elsewhere", "PYTHONWARNINGS": "error::evil.Warning"}
    for start in (script, link):
        done = subprocess.run([start], env=env, capture_output=True, text=True, cwd="/")
        assert (done.stdout[:8], done.stderr) == ("page -I ", "")
        assert done.stdout.endswith(f" {home}/source/web_demo.py\n")
        done = subprocess.run([start, "sh", "-c", "umask; pwd; env"], env=env, capture_output=True, text=True, cwd="/")
        mask, where, *lines = done.stdout.splitlines()
        got = dict(line.split("=", 1) for line in lines)
        assert (mask, where) == ("0077", str(home / "run"))
        assert got["HF_HOME"] == f"{home}/cache/huggingface"
        assert got["GRADIO_TEMP_DIR"] == f"{home}/cache/gradio"
        assert got["PATH"].startswith(f"{home}/venv/bin:/usr/lib/wsl/lib:")
        assert not {name for name in got if name.lower().endswith("_proxy")}
        assert not {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"} & set(got)
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "PYTHONNOUSERSITE"):
            assert got[name] == "1"
        assert got["GRADIO_ANALYTICS_ENABLED"] == "False"
        assert not {"PYTHONPATH", "PYTHONWARNINGS"} & set(got)
        assert re.fullmatch(rf"{re.escape(str(home))}/cache/modules/\d+", got["HF_MODULES_CACHE"])
        assert (got["PYTHONPYCACHEPREFIX"], got["PYTHONDONTWRITEBYTECODE"]) == (f"{home}/cache/pycache", "1")
    assert subprocess.run([script, "sh", "-c", "exit 7"], env=env).returncode == 7

    # The other apps: what role web_demo makes of the lines that name them.
    text = script.read_text()
    script.write_text(text.replace("app=web_demo", "app=openai_api"))
    done = subprocess.run([script], env=env, capture_output=True, text=True)
    assert done.stdout.endswith(f" {home}/source/openai_api.py\n")
    app = text.replace("app=web_demo\nlisten=127.0.0.1 port=7860", "app=streamlit\nlisten=127.0.0.9 port=8501")
    script.write_text(app)
    done = subprocess.run([script], env=env, capture_output=True, text=True)
    assert done.stdout.startswith("page -I ")
    assert " run --server.address 127.0.0.9 --server.port 8501 --server.headless true " in done.stdout
    assert "--browser.gatherUsageStats false" in done.stdout
    page, script_path = done.stdout.rstrip("\n").partition("toolbarMode viewer ")[2].split(" -- ")
    assert script_path == f"{home}/source/web_demo2.py"
    # Run by streamlit, with the folder of page.py first: modules beside the script stand in front of none.
    assert os.listdir(os.path.dirname(page)) == ["page.py"]
    (home / "source").mkdir()
    (home / "source" / "web_demo2.py").write_text(
        "import json, utils, sys; print(utils.X, 'loads' in dir(json), sys.path[-1])"
    )
    (home / "source" / "utils.py").write_text("X = 1")
    (home / "source" / "json.py").write_text("")
    done = subprocess.run([sys.executable, page, script_path], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"1 True {home}/source\n", "")
    script.write_text(text)

    # Bytecode that is younger than the proof is not used; what a proof writes is kept.
    (home / "cache" / "pycache").mkdir(parents=True)
    (home / "cache" / "pycache" / "later.pyc").touch()
    done = subprocess.run([script, "env"], env={**env, "CHATGLM_PROOF": "1"}, capture_output=True, text=True)
    assert "PYTHONDONTWRITEBYTECODE" not in done.stdout
    assert (home / "cache" / "pycache" / "later.pyc").exists()
    subprocess.run([script, "true"], env=env, check=True)
    assert not (home / "cache" / "pycache").exists()
    (home / "cache" / "pycache").mkdir()
    (home / "state" / "proof.json").write_text("{}\n")
    subprocess.run([script, "true"], env=env, check=True)
    assert (home / "cache" / "pycache").exists()

    # Copies of the model's code go with the process that made them, and with nobody who is still there.
    copies = home / "cache" / "modules"
    for name in ("1", "999999999"):
        (copies / name).mkdir(parents=True)
    (home / "cache" / "huggingface" / "modules").mkdir(parents=True)
    subprocess.run([script, "true"], env=env, check=True)
    assert [path.name for path in copies.iterdir()] == ["1"]
    assert not (home / "cache" / "huggingface" / "modules").exists()

    # The model's code and tokenizer are not run unless they are as they were verified.
    code, sums = home / "models" / "m" / "modeling.py", home / "state" / "weights.sha256"
    for spoil in (lambda: code.write_text("evil\n"), code.unlink, lambda: sums.write_text(""), sums.unlink):
        spoil()
        done = subprocess.run([script, "echo", "started"], env=env, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "")
        assert "To do: run the play again" in done.stderr


def test_the_role_fills_in_the_launcher(tmp_path):
    home = tmp_path / "home"
    (home / "source").mkdir(parents=True)
    (home / "source" / "web_demo2.py").write_text('AutoModel.from_pretrained("THUDM/chatglm2-6b")\n')
    settings = {"chatglm_home": str(home), "chatglm_app": "streamlit", "chatglm_listen": "127.0.0.9"}
    settings |= {"chatglm_page_password": ""}
    settings |= {"chatglm_port": 8501, "chatglm_model_repo": "a/m", "chatglm_lock_timeout": 0}
    gpu = {"uuid": "GPU-1", "index": 0}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {
            **settings,
            "chatglm_plan": {"device": "cuda", "gpu": gpu, "engine": "torch"},
            "chatglm_host": {"gpus": [gpu, gpu]},
        },
        "vars_files": [str(LAUNCHER.parents[2] / "chatglm" / "vars" / "main.yml")],
        "roles": ["web_demo"],
    }
    (tmp_path / "play.json").write_text(json.dumps([play]))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local"]
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    env |= {"ANSIBLE_LOCAL_TEMP": str(tmp_path), "ANSIBLE_REMOTE_TEMP": str(tmp_path)}
    done = subprocess.run(
        [*command, tmp_path / "play.json"], cwd=LAUNCHER.parents[3], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    was, now = LAUNCHER.read_text().splitlines(), (home / "bin" / "chatglm-run").read_text().splitlines()
    assert [new for old, new in zip(was, now, strict=True) if old != new] == [
        "app=streamlit",
        "listen=127.0.0.9 port=8501",
        "gpu=GPU-1",
        "engine=torch",
    ]
    package = LAUNCHER.parents[3] / "engine"
    assert {path.name: path.read_text() for path in (home / "lib" / "engine").iterdir()} == {
        path.name: path.read_text() for path in package.iterdir() if path.is_file()
    }
    assert (home / "state" / "web_demo2_patch.json").exists()
    assert f'("{home}/models/m").cuda()' in (home / "source" / "web_demo2.py").read_text()


@pytest.mark.parametrize("app", ["web_demo", "openai_api", "streamlit"])
@pytest.mark.parametrize("engine", ["torch", "upstream"])
def test_the_launcher_attaches_the_engine_before_the_script_runs(tmp_path, app, engine):
    home = tmp_path / "ho 'me"
    script = installation(home)
    text = script.read_text().replace("\nengine=upstream\n", f"\nengine={engine}\n")
    script.write_text(text.replace("\napp=web_demo\n", f"\napp={app}\n"))
    python = home / "venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (home / "source").mkdir()
    look = "import os, sys\nassert not any(p.endswith('/lib') and 'ho ' in p for p in sys.path)\n"
    for name in ("web_demo.py", "openai_api.py", "web_demo2.py"):
        (home / "source" / name).write_text(look + "print('script', os.environ['CHATGLM_ENGINE'])\n")
    package = home / "lib" / "engine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from .part import hook\n")
    (package / "part.py").write_text("import colorsys\n\n\ndef hook():\n    print('attached')\n")
    (package.parent / "colorsys.py").write_text("print('evil')\n")  # in front of a module of Python's own
    done = subprocess.run([script], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    said = [f"script {engine}"] if app != "streamlit" else []  # which is not installed here, and ends behind the hook
    assert (done.stdout.splitlines(), "No module named 'streamlit'" in done.stderr) == (
        (["attached"] if engine == "torch" else []) + said,
        app == "streamlit",
    )
