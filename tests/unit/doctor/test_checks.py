"""The registry of the doctor: every entry fails on its fault and on nothing else. The evidence is invented."""

import ast
import re
from pathlib import Path

import pytest
from ansible.module_utils.chatglm.doctor import checks
from ansible.module_utils.chatglm.preflight import plan
from doctor_evidence import FAULTS, HARMLESS, evidence, virtualenv

CODES = [check.code for check in checks.CHECKS]


def probe(name):
    raise AssertionError(f"the evidence lacks {name}")


def named(results):
    return {each["code"]: each["verdict"] for each in results if each["verdict"] != "ok" and not each["skipped_by"]}


def result_of(code, results):
    return next(each for each in results if each["code"] == code)


# --- the entries ------------------------------------------------------------------------------------------------------


def test_healthy_host():
    results = checks.examine(evidence(), probe)
    assert [each["code"] for each in results] == CODES
    assert named(results) == {}
    assert checks.status_of(results) == "ok"
    assert all(each["evidence"] and not each["cause"] and not each["remedy"] for each in results)


@pytest.mark.parametrize(("code", "verdict", "piece", "parts"), FAULTS, ids=lambda value: str(value)[:30])
def test_fault_is_named_by_one_check(code, verdict, piece, parts):
    also = {"weights_pointer": "repairable"} if code == "proxy_variables" else {}  # a proxy matters to a download
    seen = evidence(**parts)
    if "host" in parts:
        seen["context"]["device"] = parts["host"].get("likely", {}).get("device", "cuda")
    results = checks.examine(seen, probe)
    assert named(results) == {code: verdict, **also}
    result = result_of(code, results)
    assert piece in result["evidence"]
    assert result["cause"] == checks.BY_CODE[code].cause.en
    assert result["remedy"]
    assert "{" not in result["remedy"]
    assert checks.status_of(results) == verdict


@pytest.mark.parametrize(("code", "piece", "parts"), HARMLESS, ids=lambda value: str(value)[:30])
def test_what_only_looks_like_a_fault(code, piece, parts):
    results = checks.examine(evidence(**parts), probe)
    assert named(results) == {}
    assert piece in result_of(code, results)["evidence"]


def test_every_entry_has_a_fault():
    # source_edited tells of edits that are kept: it has no fault.
    assert {code for code, *_ in FAULTS} == set(CODES) - {"source_edited"}


def test_verdicts_agree_with_who_repairs():
    own = {code for code, verdict, *_ in FAULTS if verdict == "yours"}
    mended = {code for code, verdict, *_ in FAULTS if verdict == "repairable"}
    for check in checks.CHECKS:
        if check.code != "source_edited":
            assert check.code in (own if check.repairs == "user" else mended), check.code


def refusal_codes():
    tree = ast.parse(Path(plan.__file__).read_text(encoding="utf-8"))
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal"
    ]
    assert len(calls) > 20
    return [call.args[0].value for call in calls]


@pytest.mark.parametrize("code", sorted(set(refusal_codes())))
def test_every_refusal_of_preflight_is_an_entry(code):
    assert checks.BY_CODE[code].repairs == "user"


def test_order_and_needs():
    before = set()
    cost = 0
    for check in checks.CHECKS:
        assert check.code not in before
        assert set(check.needs) <= before, f"{check.code} needs {set(check.needs) - before}, which come later"
        assert check.cost >= cost, f"{check.code} is cheaper than one before it"
        before.add(check.code)
        cost = check.cost


@pytest.mark.parametrize("check", [*checks.CHECKS, *checks.OUTSIDE], ids=lambda check: check.code)
def test_entry_is_complete(check):
    assert re.fullmatch(r"[a-z][a-z0-9_]+", check.code)
    for name in ("title", "cause", "remedy"):
        text = getattr(check, name)
        assert text.en.strip()
        assert text.zh.strip()
        assert text.en.isascii(), text.en
        assert set(re.findall(r"{(\w+)}", text.en + text.zh)) <= set(checks.FIELDS)
    assert re.search("[\u4e00-\u9fff]", check.cause.zh)
    assert check.repairs in ("site", "user")
    for symptom in check.symptoms:
        assert len(symptom) > 4, "too short to tell anything"
        assert symptom == symptom.strip()


# --- the order of work ------------------------------------------------------------------------------------------------


def test_a_failed_check_says_what_is_pointless():
    given = evidence()
    for name in ("lock", "proxies", "page", "windows_page", "sums", "module_cache", "imports", "tokenizer"):
        del given[name]
    given["virtualenv"] = {"action": "create"}
    asked = []
    answers = evidence()

    def probing(name):
        asked.append(name)
        return answers[name]

    results = checks.examine(given, probing)
    assert asked == ["lock", "sums", "proxies", "module_cache", "page", "windows_page"]
    for code in ("package_missing", "pkg_resources", "import_failed", "tokenizer", "proof"):
        result = result_of(code, results)
        assert (result["verdict"], result["skipped_by"]) == ("unknown", "venv_missing")
        assert result["evidence"] == result["remedy"] == ""
    assert named(results) == {"venv_missing": "repairable"}


def test_nothing_is_imported_while_a_package_is_damaged():
    given = evidence(virtualenv={"action": "repair", "reinstall": ["gradio==6.17.3: damaged file x.py"]})
    del given["imports"]
    assert named(checks.examine(given, probe)) == {"package_damaged": "repairable"}


def test_wrong_settings_make_all_pointless():
    given = {"settings": {"problems": ["x. Expected: y. To do: z"]}, "context": evidence()["context"]}
    results = checks.examine(given, probe)
    assert {each["skipped_by"] for each in results[1:]} == {"settings"}


def test_what_was_not_looked_at_is_unknown():
    given = evidence()
    for name in ("virtualenv", "source", "weights", "web_demo", "proof", "cuda_libs"):
        del given[name]
    results = checks.examine(given, probe)
    assert set(named(results).values()) == {"unknown"}
    assert result_of("venv_missing", results)["skipped_by"] == "venv_blocked"
    assert checks.status_of(results) == "ok"


def test_a_module_that_crashed_tells_nothing():
    results = checks.examine(evidence(weights={"failed": True, "msg": "Task failed: Module failed: boom"}), probe)
    assert named(results) == {"weights_blocked": "unknown"}
    assert "boom" in result_of("weights_blocked", results)["evidence"]
    assert result_of("weights_missing", results)["skipped_by"] == "weights_blocked"


def test_a_probe_that_sees_nothing_is_unknown():
    given = evidence()
    del given["lock"]
    results = checks.examine(given, lambda name: None)
    assert result_of("lock", results)["evidence"] == "the probe lock saw nothing"


def test_gpu_checks_do_not_apply_to_a_cpu():
    given = evidence()
    given["context"]["device"] = "cpu"
    given["cuda_libs"] = {"skipped": True}
    given["imports"]["cuda"] = {}
    results = checks.examine(given, probe)
    assert named(results) == {}
    assert {each["code"] for each in results if not each["applies"]} >= {"no_gpu", "cuda_libs", "cpm_kernels"}


# --- texts ------------------------------------------------------------------------------------------------------------


def test_the_exact_line_of_this_host_wins():
    code, _, _, parts = next(fault for fault in FAULTS if fault[0] == "port")
    english = result_of(code, checks.examine(evidence(**parts), probe))["remedy"]
    assert english == "stop it (kill 9), or choose another port: -e chatglm_port=7861"
    chinese = result_of(code, checks.examine(evidence(**parts), probe, "zh"))
    assert chinese["remedy"] == "停掉它（kill 9），或换一个端口：-e chatglm_port=7861"
    assert chinese["evidence"] == "127.0.0.1:7860 不可用：进程 9（x）"
    assert chinese["title"] == "网页端口"
    assert chinese["cause"] == "别的程序占用了网页端口"


def test_own_words_are_in_the_language():
    results = checks.examine(evidence(), probe, "zh")
    assert result_of("package_missing", results)["evidence"] == "齐全"
    assert result_of("python", results)["evidence"] == "/usr/bin/python3.10"


# Names, versions and paths; what a tool said; and what the samples pretend that a module said.
NOBODYS_WORDS = {"host_python", "architecture", "home_file_system", "gpu_blocked", "gpu_not_usable", "venv_blocked"}
NOBODYS_WORDS |= {"stray_files", "module_cache", "web_demo_edited", "import_failed", "tokenizer", "source_damaged"}
PRETENDED = ("cudart is of version 9", "the answer is empty")


@pytest.mark.parametrize(
    ("code", "parts"), [(code, parts) for code, _, _, parts in FAULTS if code not in NOBODYS_WORDS], ids=str
)
def test_what_was_found_is_told_in_chinese(code, parts):
    result = result_of(code, checks.examine(evidence(**parts), probe, "zh"))
    told = result["evidence"]
    assert re.search("[\u4e00-\u9fff]", told) or "Error: " in told or told.endswith(PRETENDED), told


def test_each_of_several_faults_is_told_in_chinese():
    faults = [(f"p{number}", "1", "damaged file x.py" if number else "version 2") for number in range(6)]
    broken = evidence(virtualenv=virtualenv("repair", reinstall=faults))
    told = {each["code"]: each["evidence"] for each in checks.examine(broken, probe, "zh")}
    assert told["package_version"] == "p0==1：版本是 2"
    assert told["package_damaged"] == "；".join(f"p{n}==1：文件 x.py 损坏" for n in range(1, 5)) + " 等 5 个"


def test_remedy_of_the_site_is_its_command():
    given = evidence(virtualenv={"action": "create"})
    result = result_of("venv_missing", checks.examine(given, probe))
    assert result["remedy"] == "./bootstrap ansible-playbook site.yml -i inventory/wsl"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        # Error texts as users pasted them (threads in the project's notes), with every cause that is known of them.
        ("AttributeError: 'NoneType' object has no attribute 'int4WeightExtractionHalf'",
         {"cpm_kernels", "pkg_resources", "cuda_libs", "no_gpu", "no_int4_kernels"}),
        ("ValueError: When localhost is not accessible, a shareable link must be created.",
         {"proxy_variables", "gradio_version", "page_status"}),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 128.00 MiB",
         {"gpu_memory", "page_port", "web_demo_unpatched"}),
        ("OSError: model/chatglm2-6b is not a local folder and is not a valid model identifier listed on",
         {"weights_missing", "web_demo_unpatched", "sources"}),
        ("RuntimeError: Internal: src/sentencepiece_processor.cc(1101) [model_proto->ParseFromArray(serialized.data()",
         {"weights_truncated", "weights_pointer", "weights_html", "weights_digest"}),
        ("_pickle.UnpicklingError: invalid load key, 'v'.", {"weights_pointer", "weights_digest"}),
        ("RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory",
         {"weights_truncated", "weights_digest"}),
        ("AttributeError: 'ChatGLMTokenizer' object has no attribute 'tokenizer'", {"transformers_version"}),
        ("AttributeError: 'ChatGLMConfig' object has no attribute 'max_length'", {"transformers_version"}),
        ("AttributeError: 'Textbox' object has no attribute 'style'", {"gradio_version", "web_demo_unpatched"}),
        ("TypeError: unhashable type: 'dict'", {"gradio_version"}),
        ("TypeError: argument of type 'bool' is not iterable", {"gradio_version"}),
        ("ImportError: cannot import name 'HfFolder' from 'huggingface_hub'", {"gradio_version"}),
        ("ModuleNotFoundError: No module named 'pkg_resources'", {"pkg_resources", "package_missing"}),
        ("RuntimeError: Library cudart is not initialized", {"cuda_libs"}),
        ("RuntimeError: Library cublasLt is not initialized", {"cuda_libs"}),
        ("E: Unable to locate package libcudart11.0", {"cuda_libs"}),
        ("RuntimeError: CUDA error: no kernel image is available for execution on the device",
         {"no_int4_kernels", "gpu_not_in_torch"}),
        ("The NVIDIA driver on your system is too old (found version 12040)", {"driver_too_old"}),
        ("Failed to initialize NVML: GPU access blocked by the operating system", {"gpu_blocked"}),
        ("NVIDIA-SMI has failed because it couldn\u2019t communicate with the NVIDIA driver", {"linux_driver_in_wsl"}),
        ("bash: nvidia-smi: command not found", {"no_windows_driver"}),
        ("Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions... Error 2: out of memory",
         {"gpu_not_usable", "cuda_available"}),
        ("Loading checkpoint shards:  45%|####      | Killed", {"memory"}),
        ("error: can't find Rust compiler", {"python"}),
        ("error: externally-managed-environment", {"venv_missing"}),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", {"sources", "clock"}),
        ("requests.exceptions.HTTPError: 429 Too Many Requests", {"sources"}),
        ("does not appear to have a file named config.json", {"weights_missing"}),
        ("OSError: [Errno 28] No space left on device", {"disk"}),
        ("OSError: Cannot find empty port in range: 7860-7860", {"port", "page_port"}),
        ("Could not create share link", {"web_demo_unpatched"}),
        ("RuntimeError: \"addmm_impl_cpu_\" not implemented for 'Half'", {"torch_build", "cuda_available"}),
        ("AssertionError: Torch not compiled with CUDA enabled", {"torch_build"}),
        ("RuntimeError: probability tensor contains either `inf`, `nan` or element < 0", {"weights_digest"}),
        ("Consistency check failed: file should be of size 1018370 but has size 635", {"weights_html"}),
        ("This site can\u2019t be reached: localhost refused to connect. ERR_CONNECTION_REFUSED", {"windows_page"}),
        ("ValueError: Unknown scheme for proxy URL URL('socks://127.0.0.1:7890')", {"proxy_variables"}),
    ],
)  # fmt: skip
def test_what_users_paste(text, codes):
    assert codes <= {check.code for check in checks.causes_of(text)}
    assert codes <= {check.code for check in checks.causes_of(text.upper().replace(" ", "\n  "))}


@pytest.mark.parametrize("text", ["", "It does not work.", "Finance: a nanny requires a ceiling"])
def test_a_text_that_nobody_knows(text):
    assert checks.causes_of(text) == []


def test_one_text_several_causes():
    text = "'NoneType' object has no attribute 'int4WeightExtractionHalf'"
    for code in ("cpm_kernels", "pkg_resources", "cuda_libs", "no_gpu"):
        _, verdict, _, parts = next(fault for fault in FAULTS if fault[0] == code)
        told = checks.explain(text, checks.examine(evidence(**parts), probe))
        shown = [cause for cause in told if cause["verdict"] in ("repairable", "yours")]
        assert shown == told[:1] == [{"code": code, "verdict": verdict}]


def test_causes_on_a_host_that_was_not_reached_are_open():
    told = checks.explain("No space left on device", [checks.outside("unreachable", "no route", "en")])
    assert told == [{"code": "disk", "verdict": "unknown"}]
