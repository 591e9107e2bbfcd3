"""int4_smoke_test by real runs against a pretended host: what it says, what it records, what it leaves behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from smoke_host import REPORT, ROOT, Host, group_members


@pytest.fixture
def host(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = Host(tmp_path, port)
    yield made
    if made.calls.exists():
        assert made.left_over() == []


def bad(report, **changes):
    return {"kind": "report", "value": {**report, **changes}}


def test_a_good_chat_is_proven_and_recorded(host):
    result = host.run()
    assert result["changed"]
    assert (result["due"], result["due_reason"], result["verdict"]) == (True, "never proven", "ok")
    assert host.started() == [sys.executable, ""]
    page = result["report"]["page"]
    assert page["answer"] == page["second_answer"] == REPORT["answer"]
    assert page["same_answer"]
    assert page["partials"] == len(REPORT["answer"])
    assert page["bot_messages"] == 2
    assert all(verdict["ok"] and not verdict["remedy"] for verdict in result["verdicts"])
    assert "proven (never proven): answer '你好！我是 ChatGLM2-6B。'" in result["msg"]
    record = json.loads(host.proof.read_text())
    assert record["verdict"] == "ok"
    assert record["subject"]["weights"] == "a" * 64
    assert len(record["subject"]["launcher"]) == 64
    assert record["report"] == result["report"]
    assert record["time"].endswith("+00:00")


def test_a_second_run_starts_nothing_and_gives_the_old_report(host):
    first = host.run()
    second = host.run()
    assert not second["changed"]
    assert (second["due"], second["due_reason"], second["verdict"]) == (False, "", "ok")
    assert second["report"] == first["report"]
    assert second["time"] == first["time"]
    assert second["msg"].startswith(f"proven on {first['time']}, and nothing has changed since: ")
    assert len(host.started()) == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"mode": "always"}, "asked for"),
        ({"subject": {"weights": "c" * 64, "source": "b" * 40}}, "weights changed"),
        ({"subject": {"weights": "a" * 64}}, "source changed"),
        ({"expected": "我是", "max_new_tokens": 48}, "setting expected changed"),
    ],
)
def test_a_change_makes_it_due_again(host, options, reason):
    host.run()
    checked = host.run(check=True, **options)
    real = host.run(**options)
    for result in (checked, real):
        assert result["changed"]
        assert result["due_reason"] == reason
    assert checked["diff"] == real["diff"]
    assert len(host.started()) == 4
    assert not host.run(**{**options, "mode": "auto"})["changed"]


def test_another_launcher_makes_it_due_again(host):
    host.run()
    with host.launcher.open("a") as stream:
        stream.write("\n# changed\n")
    assert host.run(check=True)["due_reason"] == "launcher changed"


@pytest.mark.parametrize("name", ["__init__.py", "int4_cpu.c", "int4.cu"])
def test_another_engine_makes_it_due_again(host, name):
    code = host.launcher.parent.parent / "lib" / "engine"
    (code / "__pycache__").mkdir(parents=True)
    (code / name).write_text("one")
    host.run()
    (code / "__pycache__" / "made.pyc").write_text("by Python")
    assert not host.run(check=True)["due"]
    (code / name).write_text("another")
    assert host.run(check=True)["due_reason"] == "engine changed"


def test_check_mode_starts_and_writes_nothing(host):
    result = host.run(check=True)
    assert result["changed"]
    assert (result["due_reason"], result["verdict"]) == ("never proven", "due")
    assert result["msg"] == "would prove the chat: never proven"
    assert host.started() == []
    assert not host.proof.exists()


def test_check_mode_is_truthful_on_a_bare_host(tmp_path):
    host = Host(tmp_path, 9)
    nothing = str(tmp_path / "nothing")
    result = host.run(
        check=True, launcher=f"{nothing}/run", python=f"{nothing}/py", model_path=nothing, proof=f"{nothing}/p.json",
        subject={},
    )  # fmt: skip
    assert result["changed"]
    assert not Path(nothing).exists()


def test_check_mode_on_a_proven_host_agrees_with_the_real_run(host):
    host.run()
    assert not host.run(check=True)["changed"]


@pytest.mark.parametrize(
    ("model", "texts"),
    [
        (bad(REPORT, devices={"cpu": 20, "cuda:0": 6}), ["device: found 20 tensors on cpu, 6 tensors on cuda:0"]),
        (bad(REPORT, int4={"expected": 8, "packed": 0}), ["int4: found 0 layers with two weights in a byte"]),
        (bad(REPORT, nonfinite_logits=3), ["finite: found 3 nan or inf among the logits of 8 tokens"]),
        (bad(REPORT, answer=""), ["answer: found ''; expected a text"]),
        (bad(REPORT, answer="你好"), ["answer: found '你好'; expected ChatGLM2-6B in it"]),
        (bad(REPORT, distinct_tokens=1), ["variety: found 1 different ones among 8 tokens"]),
        (
            bad(REPORT, error={"phase": "tokenizer", "type": "AttributeError", "message":
                               "'ChatGLMTokenizer' object has no attribute 'tokenizer'"}),
            ["model, tokenizer: found the model's code is from before transformers 4.34", "-e chatglm_model_revision="],
        ),
        ({"kind": "kill", "value": 9}, ["model, load: found the process was killed by signal 9 (SIGKILL)", "RAM"]),
        ({"kind": "kill", "value": 4}, ["killed by signal 4 (SIGILL)", "this CPU lacks an instruction"]),
        ({"kind": "exit", "value": 137}, ["killed by signal 9 (SIGKILL)"]),
        ({"kind": "exit", "value": 3}, ["ended with status 3 and said nothing"]),
        (
            {"kind": "stderr", "value": "Traceback (most recent call):\nModuleNotFoundError: No module named 'torch'"},
            ["a package of the virtualenv is missing or broken: ModuleNotFoundError: No module named 'torch'"],
        ),
    ],
)  # fmt: skip
def test_a_bad_model_is_named_and_the_page_is_not_started(host, model, texts):
    host.model = model
    result = host.run()
    assert result["failed"]
    assert result["verdict"] == "failed"
    for text in texts:
        assert text in result["msg"]
    assert host.started() == [sys.executable]
    assert json.loads(host.proof.read_text())["verdict"] == "failed"


def test_too_slow_is_named(host):
    result = host.run(min_tokens_per_second=50.0)
    assert "speed: found 20.0 tokens/s; expected 50.0 tokens/s or more" in result["msg"]


def test_after_a_repair_it_proves_anew_and_check_mode_says_so(host):
    host.run()
    assert host.run(check=True, repaired=["weights"])["due_reason"] == "changed in this run: weights"
    assert host.run(repaired=["weights"])["changed"]
    assert not host.run()["changed"]


def test_a_proof_that_a_rival_began_after_the_repair_covers_it(host):
    repair = time.monotonic()
    host.run()
    assert host.run(repaired=["weights"], repaired_at=time.monotonic())["changed"]
    assert not host.run(check=True, repaired=["weights"], repaired_at=repair)["changed"]
    assert not host.run(repaired=["weights"], repaired_at=repair)["changed"]
    record = json.loads(host.proof.read_text())
    for began in (None, 7, {}, {"boot": "another", "seconds": time.monotonic()}, {**record["began"], "seconds": 1e12}):
        host.proof.write_text(json.dumps({**record, "began": began}))
        again = host.run(check=True, repaired=["weights"], repaired_at=repair)
        assert again["due_reason"] == "changed in this run: weights", began


def test_it_says_whether_damaged_files_can_be_the_cause(host):
    host.model = bad(REPORT, nonfinite_logits=1)
    assert host.run()["suspect_files"]
    host.model = {"kind": "kill", "value": 9}
    assert not host.run()["suspect_files"]


def test_a_failed_run_invalidates_an_older_proof(host):
    host.run()
    host.model = bad(REPORT, nonfinite_logits=1)
    assert host.run(mode="always")["failed"]
    host.model = {"kind": "report", "value": REPORT}
    again = host.run()
    assert again["due_reason"] == "the last proof failed"
    assert again["changed"]
    assert "failed" not in again


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("dead", ["page, answer: found the chat is dead: its event failed (ValidationError)", "valid dictionary"]),
        ("cut", ["page, answer: found the stream of events ended before the answer was complete"]),
        ("other", ["page, answer: found the page offers the events ['other'], none named predict"]),
        ("crash", ["page, answer: found the process was killed by signal 9"]),
        ("no growth", ["page grows: found 1 distinct partial answers; expected 2 or more"]),
        ("dead in the second turn", ["second turn: found", "the last ''"]),
    ],
)  # fmt: skip
def test_a_page_that_is_up_but_does_not_chat_is_no_proof(host, kind, texts):
    host.page["kind"] = kind
    result = host.run()
    assert result["failed"]
    for text in texts:
        assert text in result["msg"]
    assert host.started() == [sys.executable, ""]


def test_the_api_is_proven_by_a_streamed_answer_and_one_in_one_piece(host):
    result = host.run(app="openai_api")
    assert result["verdict"] == "ok", result
    page = result["report"]["page"]
    assert page["answer"] == page["second_answer"] == REPORT["answer"]
    assert (page["partials"], page["second_partials"], page["bot_messages"]) == (len(REPORT["answer"]), 1, 2)
    assert host.run(app="openai_api")["due"] is False
    assert host.run()["due_reason"] == "setting app changed"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("no growth", "page grows: found 1 distinct partial answers; expected 2 or more"),
        ("cut", "page, answer: found the answer's stream ended without a finish_reason"),
        ("422", 'page, answer: found POST /v1/chat/completions answered 422: {"error": {"message": "top_p: wrong"}}'),
        ("odd", "page, answer: found an answer of another form (IndexError"),
        ("failed", "page, answer: found the API has failed: the model failed"),
        ("crash", "page, answer: found the process was killed by signal 9"),
        ("dead in the second turn", "second turn: found"),
    ],
)
def test_an_api_that_does_not_chat_is_no_proof(host, kind, text):
    host.page["kind"] = kind
    assert text in host.run(app="openai_api")["msg"]


@pytest.fixture
def keyed(host):
    """A host whose API has a key, kept where role web_demo keeps it."""
    password = host.folder / "state" / "page_password"
    password.parent.mkdir()
    password.write_text("geheim-12345")
    host.password = password
    host.page["key"] = "geheim-12345"
    return host


def test_an_api_with_a_key_is_proven_through_it(keyed):
    assert keyed.run(app="openai_api")["verdict"] == "ok"
    assert keyed.run(app="openai_api")["due"] is False
    assert "geheim" not in keyed.proof.read_text()


def test_another_key_is_due_for_a_proof(keyed):
    keyed.run(app="openai_api")
    keyed.password.unlink()
    keyed.page["key"] = ""
    assert keyed.run(app="openai_api")["due_reason"] == "password changed"
    keyed.page["key"] = "another-12345"
    keyed.password.write_text("another-12345")
    assert keyed.run(app="openai_api")["due_reason"] == "password changed"
    assert keyed.run(app="openai_api")["due"] is False


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("", "page, answer: found GET /v1/models without the key answered 200; expected status 401"),
        ("another", "page, answer: found POST /v1/chat/completions answered 401"),
    ],
)
def test_a_key_that_is_not_asked_for_is_no_proof(keyed, key, text):
    keyed.page["key"] = key
    assert text in keyed.run(app="openai_api")["msg"]


def test_an_api_that_says_nothing_is_no_proof(host):
    host.page = {"kind": "silent"}
    assert (
        "page, answer: found no complete answer from the API within 1 s"
        in host.run(app="openai_api", answer_timeout=1)["msg"]
    )
    host.page = {"kind": "good", "answer": ""}
    assert "page answer: found ''; expected a text" in host.run(app="openai_api")["msg"]


def test_streamlit_is_proven_by_two_turns_through_its_websocket(host):
    result = host.run(app="streamlit")
    assert result["verdict"] == "ok", result
    assert host.started() == [sys.executable, "", "python"]
    page = result["report"]["page"]
    assert page["answer"] == page["second_answer"] == REPORT["answer"]
    count = len(REPORT["answer"])
    assert (page["partials"], page["second_partials"], page["bot_messages"]) == (count, count, 2)
    assert page["ready_seconds"] >= page["first_token_seconds"] > 0


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ({"kind": "exit", "value": "RuntimeError: odd"}, "page, start: found RuntimeError: odd"),
        ({"kind": "ill"}, "page, start (GET / answers 503): found no end within 1 s"),
        ({"kind": "refused"}, "page, start: found the page refuses its websocket with status 403"),
        ({"kind": "raises"}, "page, start: found the page shows an error: OSError: no file named pytorch_model.bin"),
        ({"kind": "loads for ever"}, "page, start: found the page's script is not done within 1 s"),
        ({"kind": "odd"}, "page, start: found an answer of another form (KeyError('metadata'))"),
        ({"kind": "noise"}, "page, start: found an answer of another form (JSONDecodeError("),
        ({"kind": "no client"}, "found the client in the virtualenv ended with status 1: ModuleNotFoundError: No mod"),
        ({"kind": "no button"}, "page, answer: found the page shows 1 text areas and 0 buttons"),
        ({"kind": "silent"}, "page, answer: found no complete answer from the page within 1 s"),
        ({"kind": "dead"}, "page, answer: found the page shows an error: RuntimeError: CUDA error"),
        ({"kind": "cut"}, "found the connection to the page broke: ConnectionError('the server closed it: enough')"),
        ({"kind": "crash"}, "page, answer: found the process was killed by signal 9"),
        ({"kind": "good", "answer": ""}, "page answer: found ''; expected a text"),
        ({"kind": "no growth"}, "page grows: found 1 distinct partial answers; expected 2 or more"),
        ({"kind": "dead in the second turn"}, "second turn: found 2 bot messages, the last ''"),
    ],
)
def test_a_streamlit_that_does_not_chat_is_no_proof(host, page, text):
    slow = {"ill": "load_timeout", "loads for ever": "load_timeout", "silent": "answer_timeout"}
    limits = {slow[page["kind"]]: 1} if page["kind"] in slow else {}
    host.page |= page
    assert text in host.run(app="streamlit", **limits)["msg"]


def test_a_page_that_answers_200_and_nothing_is_no_proof(host):
    """Seen with gradio 6 and a web_demo.py that lacks only ``.style``: the page is there, its chat is dead."""
    host.page["answer"] = ""
    result = host.run()
    assert "page answer: found ''; expected a text. To do: the page is there, but its chat is dead" in result["msg"]


def test_a_page_with_another_answer_is_no_proof(host):
    host.page["answer"] = "anything"
    assert "page answer: found 'anything'; expected ChatGLM2-6B in it" in host.run()["msg"]


def test_a_page_that_ends_at_once_is_named_with_its_log(host):
    host.page = {"kind": "exit", "value": "AttributeError: 'Textbox' object has no attribute 'style'"}
    result = host.run()
    assert "page, start: found AttributeError: 'Textbox' object has no attribute 'style'" in result["msg"]
    assert result["log"].endswith("'style'")


@pytest.mark.parametrize(
    ("model", "page", "options", "text"),
    [
        ("hang", "good", {"load_timeout": 1}, "model, load: found no end within 1 s"),
        ("hang in answer", "good", {"answer_timeout": 1}, "model, answer: found no end within 1 s"),
        ("report", "never", {"load_timeout": 2}, "page, start (GET / answers nothing): found no end within 2 s"),
        ("report", "500", {"load_timeout": 2}, "page, start (GET / answers 500): found no end within 2 s"),
        ("report", "silent", {"answer_timeout": 1}, "page, answer: found no complete answer from the page within 1 s"),
    ],
)
def test_every_wait_has_an_end(host, model, page, options, text):
    host.model["kind"], host.page["kind"] = model, page
    result = host.run(**options)
    assert text in result["msg"]
    assert "smoke_test_" in result["msg"]


def test_a_stubborn_page_is_killed(host):
    host.page["kind"] = "stubborn"
    started = time.monotonic()
    result = host.run()
    assert result["verdict"] == "ok"
    assert result["report"]["page"]["port_free"]
    assert time.monotonic() - started < 30


def test_a_taken_port_is_named_before_anything_is_loaded(host):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", host.port))
        taken.listen()
        result = host.run()
    # This process or the module's, which is forked from it here and so holds the socket too.
    assert re.search(rf"port {host.port} of 127\.0\.0\.1 is taken by pid \d+ \(", result["msg"])
    assert host.started() == []


def test_a_signal_ends_the_children_too(host):
    host.model["kind"] = "hang"
    child = host.start()
    deadline = time.monotonic() + 20
    while not host.calls.exists() or "pid " not in host.calls.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    group = int(host.calls.read_text().splitlines()[-1][4:])
    time.sleep(0.3)  # the worker starts a child of its own
    child.send_signal(signal.SIGTERM)
    out, _ = child.communicate(timeout=20)
    assert "stopped by signal 15" in json.loads(out)["msg"]
    assert group_members(group) == []


def test_nothing_survives_when_the_module_itself_is_killed(host):
    host.model["kind"] = "hang"
    child = host.start()
    deadline = time.monotonic() + 20
    while not host.calls.exists() or "pid " not in host.calls.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.kill()
    child.communicate(timeout=20)
    while host.left_over():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"launcher": "/no/launcher"}, "/no/launcher is no program. Expected: the launcher of role web_demo"),
        ({"python": "/no/python"}, "/no/python is no program. Expected: the python of role virtualenv"),
        ({"model_path": "/no/model"}, "no config.json in /no/model"),
        ({"url": "https://127.0.0.1"}, "url is 'https://127.0.0.1'"),
        ({"url": "http://127.0.0.1:nine"}, "url is 'http://127.0.0.1:nine'"),
        ({"url": "http://203.0.113.1:7860"}, "203.0.113.1 cannot be bound"),
        ({"proof": "/proc/no/proof.json"}, "/proc/no"),
    ],
)
def test_bad_input_is_refused_in_words(host, options, text):
    result = host.run(**options)
    assert result["failed"]
    assert text in result["msg"]
    assert host.started() in ([], [sys.executable, ""])


def test_through_ansible_itself(host):
    """Once as users run it: the workers' sources then come out of Ansible's zip file."""
    arguments = json.loads(host.arguments())["ANSIBLE_MODULE_ARGS"]
    given = {key: value for key, value in arguments.items() if not key.startswith("_")}
    command = [
        Path(sys.executable).with_name("ansible"), "localhost", "-i", "localhost,", "-c", "local",
        "-e", f"ansible_python_interpreter={sys.executable}", "-M", ROOT / "library", "-m", "int4_smoke_test",
        "-a", json.dumps(given),
    ]  # fmt: skip
    env = {**os.environ, "ANSIBLE_MODULE_UTILS": str(ROOT / "module_utils"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(host.proof.read_text())["verdict"] == "ok"


def test_a_failure_that_comes_again_is_not_answered_by_the_same_run(host):
    host.model = bad(REPORT, answer="", tokens_per_second=20.0)
    first = host.run()
    assert "once more:" not in first["msg"]
    record = json.loads(host.proof.read_text())
    assert (record["verdict"], record["yours"]) == ("failed", False)
    host.model = bad(REPORT, answer="", tokens_per_second=21.5)
    for _ in range(2):
        second = host.run()
        assert f"once more: found the failure of {record['time']}, with everything as it was then" in second["msg"]
        assert "report it with that log" in second["msg"]
        told = json.loads(host.proof.read_text())
        assert told["yours"]
        record = told
    assert host.run(check=True)["same"]
    # Something else is wrong, something was mended, or something has changed: then a run is worth its while.
    assert "once more:" not in host.run(repaired=["weights"])["msg"]
    assert "once more:" not in host.run(subject={"weights": "c" * 64})["msg"]
    assert not host.run(check=True)["same"]
    host.model = bad(REPORT, nonfinite_logits=3)
    assert "once more:" not in host.run(subject={"weights": "c" * 64})["msg"]


def test_an_error_in_the_script_names_its_line_and_the_way_back(host, tmp_path):
    log = (
        f'Traceback (most recent call last):\n  File "{tmp_path}/my source/web_demo.py", line 3, in f\n    pass\n'
        f'  File "{tmp_path}/source/web_demo.py", line 9, in <module>\n    demo.queue(colour=2)\n'
        "TypeError: Blocks.queue() got an unexpected keyword argument 'colour'"
    )
    host.page = {"kind": "exit", "value": log}
    result = host.run()
    assert f"page, start: found {tmp_path}/source/web_demo.py, line 9: TypeError: Blocks.queue()" in result["msg"]
    assert f"git -C {tmp_path}/source checkout -- web_demo.py" in result["msg"]
    assert not result["suspect_files"]
    assert json.loads(host.proof.read_text())["yours"]
