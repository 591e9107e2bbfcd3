"""The report: one page that holds text and nothing else, and the callback that writes it, run by Ansible itself."""

import base64
import hashlib
import html.parser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import report_sample
import yaml
from ansible.module_utils.chatglm.core import version
from ansible.module_utils.chatglm.language import messages
from ansible.module_utils.chatglm.report import report_page

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'</td></script><!--\u202e"
TOKEN = "hf_" + "SeCrEt0123456789"
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "h1", "h2", "h3", "p"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "span", "a", "ul", "li", "dl", "dt", "dd", "div", "pre"),
    *("figure", "figcaption", "blockquote", "svg", "rect", "line", "text", "polyline", "desc", "script"),
}


class Reader(html.parser.HTMLParser):
    """What a browser would see."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        if tag not in {"meta", "rect", "line", "polyline"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in {"rect", "line", "polyline"}:
            return
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))


def hostile(value):
    """The sample with every text replaced, but for what the callback itself chooses."""
    if isinstance(value, dict):
        fixed = {"outcome", "verdict", "device", "lines"}
        return {name: item if name in fixed else hostile(item) for name, item in value.items()}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_comes_from_outside_is_text(language):
    host = hostile(report_sample.host())
    host["lines"] = [f"open      {HOSTILE}", "open      javascript:alert(1)", f"open      http://x/{HOSTILE}"]
    read = Reader(report_page.page({"time": "now", "hosts": {HOSTILE: host}}, language))
    assert set(read.tags) <= TAGS
    assert read.tags.count("script") == 1
    assert not read.open
    for tag, name, value in read.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name not in {"src", "style", "srcset", "action", "xlink:href"}, (tag, name)
        assert name != "href" or re.match("https?://", value), value
    assert any("alert(1)" in text for tag, text in read.texts if tag == "h2")
    assert not any("\u202e" in text for _, text in read.texts)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_is_whole_and_asks_for_nothing(language):
    text = report_page.page(report_sample.data(), language)
    read = Reader(text)
    headings = [content for tag, content in read.texts if tag in {"h1", "h3"}]
    for part in ("title", "summary", "plan", "steps", "proof", "holds", "versions", "digests", "doctor"):
        assert messages.say(language, f"report.{part}") in headings
    [foot] = [content for tag, content in read.texts if tag == "footer"]
    assert version.VERSION in foot
    [data] = [content for tag, content in read.texts if tag == "script"]
    assert json.loads(data)["version"] == version.VERSION
    assert "21.4" in text
    assert "10 min 12 s" in text
    assert "528.79" in text
    policy = next(value for tag, name, value in read.attributes if name == "content" and "default-src" in value)
    style = next(content for tag, content in read.texts if tag == "style")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert "url(" not in style
    assert "@import" not in style
    assert text.count("<title>") >= 3, "page, GPU memory, chart"
    assert all(scope for tag, name, scope in read.attributes if tag == "th" and name == "scope")
    assert read.tags.count("th") == sum(name == "scope" for tag, name, _ in read.attributes if tag == "th")


def luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_of_text_have_the_contrast_of_wcag_aa():
    light, dark = re.split("prefers-color-scheme:dark", report_page.STYLE)
    for part in (light, dark):
        colours = dict(re.findall(r"--(\w+):(#[0-9a-f]{3,6})", part))
        colours = {
            name: "#" + "".join(2 * c for c in value[1:]) if len(value) == 4 else value
            for name, value in colours.items()
        }
        for ink in ("ink", "soft", "accent", "good", "warn", "bad"):
            for ground in ("card", "bg"):
                high, low = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
                assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)


def test_a_host_of_which_nothing_is_known_makes_a_page_too():
    assert "<h2>" in report_page.page({"time": "", "hosts": {"h": report_page.blank()}}, "en")
    strange = report_sample.host(
        proof={"model": {"gpu": {"total": "x"}, "tokens_per_second": None}}, facts={"gpus": [{}]}
    )
    assert "<h2>" in report_page.page({"time": "", "hosts": {"h": strange}}, "en")


def test_secrets_are_cut_out_of_everything():
    told = report_page.clean(
        {"a": [f"https://me:pw@host/x {TOKEN}", {"b": "the word"}], "n": 1.5, "t": True}, ["the word"]
    )
    assert told == {"a": ["https://***@host/x ***", {"b": "***"}], "n": 1.5, "t": True}


def test_an_earlier_report_is_read_and_a_spoilt_one_is_not():
    data = report_sample.data()
    text = report_page.page(data, "en")
    assert report_page.earlier(text) == json.loads(json.dumps(data))["hosts"]
    assert report_page.earlier("") == report_page.earlier(text[: len(text) // 2]) == {}
    assert report_page.earlier(text.replace('"hosts"', '"posts"')) == {}


FACTS = {
    "kernel": HOSTILE,
    "sources": [{"urls": [f"https://me:{TOKEN}@hub"]}],
    "gpus": [report_sample.GPU],
    "nvidia": {"driver": "528.79"},
}
PROOF = {"model": {"answer": HOSTILE, "tokens_per_second": 21.4, "versions": {"torch": "2.7.1"}}, "page": {}}
ANSWERS = {
    "host_facts": {"facts": FACTS, "plan": {"device": "cuda", "torch": "2.7.1"}},
    "model_snapshot": {"changed": True, "bytes_fetched": 3 << 20, "digest": "d" * 64},
    "managed_python": {"changed": True, "version": "3.12.16", "sha256": "e" * 64, "bytes_installed": 9 << 20},
    "python_env": {"changed": True, "install": ["a==1"], "reinstall": ["b==1: x"], "bytes_installed": 5 << 20},
    "int4_smoke_test": {"report": PROOF, "time": "2026-11-22T20:00:00+00:00", "verdict": "ok", "verdicts": []},
}


@pytest.fixture
def project(tmp_path):
    """A site of two roles whose modules answer as told, and a function that runs it."""
    (tmp_path / "library").mkdir()
    for name, answer in ANSWERS.items():
        text = f"#!/usr/bin/python\n# WANT_JSON\nprint({json.dumps(answer)!r})\n"
        (tmp_path / "library" / f"{name}.py").write_text(text)
    tasks = {
        "preflight": [
            {"name": "Look at the host", "host_facts": {}},
            {"name": "Sum up", "debug": {"msg": "done      nothing"}, "when": "sealed | default(false)"},
            {"name": "Start", "command": "true", "when": "dead | default(false)"},
            {"name": "Leave", "meta": "end_host", "when": "sealed | default(false)"},
        ],
        "virtualenv": [{"name": "Bring", "managed_python": {}}, {"name": "Build", "python_env": {}}],
        "weights": [
            {"name": "Hold every file", "model_snapshot": {}},
            {
                "name": "Fail",
                "fail": {"msg": f"no https://me:pw@hub with {TOKEN} or plain-word"},
                "when": "broken | default(false)",
            },
        ],
        "summary": [
            {"name": "Prove", "int4_smoke_test": {}},
            {"name": "Sum up", "debug": {"msg": "done      weights\nopen      http://127.0.0.1:7860"}},
        ],
    }
    for role, told in tasks.items():
        path = tmp_path / "roles" / role / "tasks" / "main.yml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump(told))
    play = {"hosts": "all", "gather_facts": False, "roles": list(tasks)}
    play["vars"] = {"chatglm_hub_token": "plain-word", "chatglm_language": "en", "chatglm_report": "out.html"}
    (tmp_path / "site.yml").write_text(yaml.safe_dump([play]))

    def run(*options, hosts="web,", code=0, **environment):
        command = [sys.executable, "-m", "ansible", "playbook", "site.yml", "-i", hosts, "-c", "local", *options]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "report",
            "ANSIBLE_CONFIG": "absent",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            **environment,
        }
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Callback dispatch" not in done.stdout + done.stderr
        assert "Failure using method" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def hosts_of(path):
    return report_page.earlier(path.read_text(encoding="utf-8"))


def test_a_run_then_one_with_nothing_to_do(project, tmp_path):
    told = project(hosts="web,two,")
    for line in (
        r"weights +\d+\.\d s  changed, 3.0 MB fetched",
        r"virtualenv +\d+\.\d s  changed, Python 3.12.16, 9.0 MB on disk, 2 packages installed, 5.0 MB on disk",
        r"preflight +\d+\.\d s  in order",
        r" s in all, changed\n",
    ):
        assert len(re.findall(line, told)) == 2, told
    path = tmp_path / "out.html"
    assert f"report    {path}" in told
    found = hosts_of(path)
    assert sorted(found) == ["two", "web"]
    assert found["web"]["outcome"] == "changed"
    assert found["web"]["lines"] == ["done      weights", "open      http://127.0.0.1:7860"]
    assert found["web"]["proof"]["model"]["tokens_per_second"] == 21.4
    assert found["web"]["digests"] == {"weights": "d" * 64, "python": "e" * 64}
    text = path.read_text(encoding="utf-8")
    assert Reader(text).tags.count("script") == 1
    assert TOKEN not in text, "facts that the report does not show are not in it either"
    assert "RTX 3060" in text

    told = project("-e", '{"sealed": true}')
    assert "unchanged" in told
    again = hosts_of(path)["web"]
    assert again["outcome"] == "same"
    assert again["proof"] == found["web"]["proof"], "what was seen at the proof still stands"
    assert again["since"] == found["web"]["time"]
    assert "in all, changed" in project("-e", '{"sealed": true, "dead": true}'), "the service was started again"
    assert hosts_of(path)["web"]["proof"] == found["web"]["proof"]
    project()
    assert not hosts_of(path)["web"]["since"], "all was looked at anew"
    assert not [name for name in os.listdir(tmp_path) if name.startswith((".out", "out.html."))], "nothing half-written"


def test_a_failure_is_told_without_its_secrets(project, tmp_path):
    told = project("-e", '{"broken": true}', code=2, HF_TOKEN=TOKEN)
    assert re.search(r"weights +\d+\.\d s  failed", told)
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert hosts_of(tmp_path / "out.html")["web"]["failure"] == "no https://***@hub with *** or ***"
    for secret in (TOKEN, "me:pw", "plain-word"):
        assert secret not in text


def test_the_doctor_s_file_is_taken_in_and_a_bad_one_is_told(project, tmp_path):
    checks = [{"code": "settings", "verdict": "yours", "evidence": HOSTILE, "cause": "", "remedy": ""}]
    (tmp_path / "doctor.json").write_text(json.dumps({"hosts": {"web": {"time": "t", "checks": checks}}}))
    project("-e", "doctor_report=doctor.json", "-e", '{"sealed": true}')
    assert hosts_of(tmp_path / "out.html")["web"]["doctor"]["checks"] == checks
    (tmp_path / "doctor.json").write_text("[")
    project("-e", "doctor_report=doctor.json", "-e", '{"sealed": true}')
    assert hosts_of(tmp_path / "out.html")["web"]["doctor"] == {}


@pytest.mark.parametrize(
    ("options", "written"),
    [
        (["--check"], False),
        (["--check", "-e", "chatglm_report=out.html", "-e", "chatglm_language=zh"], True),
        (["-e", "chatglm_report=absent/out.html"], False),
    ],
    ids=["check", "check and asked", "no such folder"],
)
def test_where_it_is_written(project, tmp_path, options, written):
    told = project(*options, "-e", '{"sealed": true}')
    assert (tmp_path / "out.html").exists() == written
    assert ("chatglm_report: " in told) == (not written and "--check" not in options)
    if written:
        assert "无变化" in told
        assert '<html lang="zh-CN">' in (tmp_path / "out.html").read_text(encoding="utf-8")
