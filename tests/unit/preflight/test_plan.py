"""The plan and the refusals: GPUs from GTX 1060 to RTX 5090, drivers, releases. All facts here are invented."""

import pytest
from ansible.module_utils.chatglm.core import nvidia
from ansible.module_utils.chatglm.preflight import plan
from plan_facts import GIB, facts, gpu


def judge(given, **settings):
    return plan.make_plan(given, plan.Settings(home="/home/me/chatglm", **settings))


def codes(outcome):
    return [refusal.code for refusal in outcome.refusals]


def test_reference_laptop():
    outcome = judge(facts(gpus=[gpu(free=5216 / 1024)]))
    assert outcome.refusals == []
    assert outcome.as_dict()["plan"] == {
        "device": "cuda",
        "gpu": gpu(free=5216 / 1024),
        "python": {"path": "/usr/bin/python3.10", "version": "3.10", "source": "host"},
        "torch": "2.7.1",
        "transformers": "4.41.2",
        "torch_cuda": "12.6",
        "apt_component": "multiverse",
        "engine": "upstream",
        "notes": [],
    }
    assert [line.split()[0] for line in outcome.report] == [
        *("host", "memory", "disk", "device", "python", "packages", "engine", "cuda", "page", "warning")
    ]
    assert (
        "device    cuda  NVIDIA GeForce RTX 3060 Laptop GPU, 6.0 GB (5.1 free), compute capability 8.6, "
        "driver 528.79, CUDA 12.0" in outcome.report
    )
    assert outcome.warnings == [
        "5.1 GB free on NVIDIA GeForce RTX 3060 Laptop GPU: enough for short conversations, 5.5 GB are needed for long "
        "ones; close what uses the GPU on Windows"
    ]


CARDS = [
    # name, capability, total GB, torch, refused, refused with upstream's kernels, engine of auto
    ("NVIDIA GeForce GTX 960", "5.2", 4.0, "2.7.1", ["gpu_memory"], ["no_int4_kernels", "gpu_memory"], "torch"),
    ("Tesla P100-PCIE-16GB", "6.0", 16.0, "2.7.1", [], ["no_int4_kernels"], "torch"),
    ("NVIDIA GeForce GTX 1060 6GB", "6.1", 6.0, "2.7.1", [], [], "upstream"),
    ("NVIDIA GeForce GTX 1060 3GB", "6.1", 3.0, "2.7.1", ["gpu_memory"], ["gpu_memory"], "upstream"),
    ("Tesla V100-SXM2-16GB", "7.0", 16.0, "2.7.1", [], [], "upstream"),
    ("NVIDIA GeForce RTX 2060", "7.5", 6.0, "2.7.1", [], [], "upstream"),
    ("NVIDIA A100-SXM4-80GB", "8.0", 79.0, "2.7.1", [], [], "upstream"),
    ("NVIDIA GeForce RTX 4090", "8.9", 24.0, "2.7.1", [], [], "upstream"),
    ("NVIDIA H100 80GB HBM3", "9.0", 79.0, "2.7.1", [], ["no_int4_kernels"], "torch"),
    ("NVIDIA B200", "10.0", 180.0, "2.8.0", [], ["no_int4_kernels"], "torch"),
    ("NVIDIA GeForce RTX 5090", "12.0", 32.0, "2.8.0", [], ["no_int4_kernels"], "torch"),
    ("NVIDIA GeForce GTX 680", "3.0", 6.0, "", ["gpu_not_in_torch"], ["gpu_not_in_torch"], "torch"),
]


@pytest.mark.parametrize(("name", "capability", "total", "torch", "refused", "upstream", "engine"), CARDS)
def test_cards(name, capability, total, torch, refused, upstream, engine):  # noqa: PLR0917
    card = gpu(name, capability, total, total * 0.95)
    given = facts(gpus=[card], nvidia={"driver": "581.42", "driver_cuda": 13000})
    assert plan.torch_build(capability) == torch
    outcome, demanded = judge(given), judge(given, engine="upstream")
    assert codes(outcome) == refused
    assert codes(demanded) == upstream
    for refusal in demanded.refusals:
        # Advice that helps: what it says is refused for nothing that was not refused before.
        assert ("chatglm_engine=auto" in refusal.remedy) is (refusal.code == "no_int4_kernels")
    free_choice = judge(given, min_gpu_memory_gb=0.5)
    if not torch:
        assert codes(free_choice) == ["gpu_not_in_torch"]
        return
    assert (free_choice.plan.torch, free_choice.plan.engine) == (torch, engine)
    assert judge(given, min_gpu_memory_gb=0.5, engine="torch").plan.engine == "torch"
    assert judge(given, min_gpu_memory_gb=0.5, int4_capabilities=()).plan.engine == "upstream"
    # Nobody has tried ours on any card yet, which is said.
    unproven = [note for note in free_choice.report if "unproven on this card" in note]
    assert bool(unproven) is (engine == "torch")
    assert any(line.startswith(f"engine    {engine}: ") for line in free_choice.report)


@pytest.mark.parametrize(
    ("wsl", "driver", "cuda", "capability", "needed"),
    [
        (2, "528.79", 12000, "8.6", ""),
        (2, "527.41", 0, "8.6", ""),
        (2, "526.98", 0, "8.6", "527.41"),
        (2, "516.94", 11070, "8.6", "527.41"),
        (0, "525.60.13", 12000, "8.6", ""),
        (0, "525.60.13", 0, "8.6", ""),
        (0, "470.256.02", 11040, "6.1", "525.60"),
        (0, "", 11080, "7.5", "525.60"),
        (2, "", 0, "8.6", ""),  # nothing known: the generation will tell
        (0, "565.57", 12070, "12.0", "570"),
        (0, "570.86", 12080, "12.0", ""),
        (0, "570.86", 0, "10.0", ""),
        (2, "566.36", 12070, "12.0", "570"),
    ],
)
def test_drivers(wsl, driver, cuda, capability, needed):
    given = facts(gpus=[gpu(capability=capability)], wsl=wsl, nvidia={"driver": driver, "driver_cuda": cuda})
    outcome = judge(given, int4_capabilities=())
    assert codes(outcome) == (["driver_too_old"] if needed else [])
    if needed:
        text = str(outcome.refusals[0])
        assert f"driver {needed} or newer" in text
        assert driver in text
        assert ("wsl --shutdown" in text) is (wsl > 0)


@pytest.mark.parametrize(
    ("total", "free", "proven", "refused", "warned"),
    [
        (6.0, 5.7, False, [], False),
        (6.0, 5.5, False, [], False),
        (6.0, 5.4, False, [], True),
        (6.0, 4.9, False, ["gpu_memory"], False),
        (6.0, 1.0, True, [], False),  # the running demo holds it
        (4.0, 3.9, True, ["gpu_memory"], False),
        (6.0, None, False, [], True),
        (None, None, False, [], True),
    ],
)
def test_gpu_memory(total, free, proven, refused, warned):
    outcome = judge(facts(gpus=[gpu(total=total, free=free)], installed={"proven": proven}))
    assert codes(outcome) == refused
    assert bool(outcome.warnings) is warned


def test_gpu_memory_refusal_names_figures():
    (refusal,) = judge(facts(gpus=[gpu(free=4.2)])).refusals
    assert refusal.found == "4.2 GB free of 6.0 GB on NVIDIA GeForce RTX 3060 Laptop GPU"
    assert refusal.expected == "5.0 GB free"
    assert "preflight_min_gpu_memory_gb=4.2" in refusal.remedy


@pytest.mark.parametrize(
    ("gpus", "index", "refused"),
    [
        ([gpu(free=5.6), gpu(index=1, free=5.9)], 1, []),
        ([gpu(capability="9.0", total=80, free=79), gpu(index=1)], 1, []),
        ([gpu(capability="12.0", total=32, free=31), gpu(index=1, capability="9.0", total=16)], 0, []),
        ([gpu(total=2.0, free=2.0), gpu(index=1, capability="5.2")], 1, []),
        ([gpu(total=2.0, free=2.0), gpu(index=1, capability="3.0")], None, ["gpu_memory"]),
    ],
)
def test_several_gpus(gpus, index, refused):
    outcome = judge(facts(gpus=gpus, nvidia={"driver": "581.42", "driver_cuda": 13000}))
    assert codes(outcome) == refused
    if index is not None:
        assert outcome.plan.gpu["index"] == index
        assert outcome.plan.notes[:1] == [f"2 GPUs; number {index} is used (NVIDIA GeForce RTX 3060 Laptop GPU)"]


NO_LIBCUDA = {"path": "", "error": "libcuda.so.1: cannot open shared object file", "code": 0}
NO_SMI = {"path": "", "rc": 0, "error": "not found", "trouble": "absent"}


@pytest.mark.parametrize(
    ("changes", "code", "remedy"),
    [
        ({"wsl": 0, "nvidia": {"libcuda": NO_LIBCUDA, "smi": NO_SMI}}, "no_gpu", "-e chatglm_device=cpu"),
        (
            {"nvidia": {"dxg": False, "wsl_libcuda": False, "libcuda": NO_LIBCUDA, "smi": NO_SMI}},
            "no_gpu",
            "wsl --update",
        ),
        (
            {"nvidia": {"wsl_libcuda": False, "libcuda": NO_LIBCUDA, "smi": NO_SMI}},
            "no_windows_driver",
            "install or update the NVIDIA driver on Windows, then in PowerShell: wsl --shutdown",
        ),
        (
            {"nvidia": {"libcuda": {"path": "/x", "error": "cuInit answered 100", "code": 100}}},
            "no_gpu",
            "-e chatglm_device=cpu",
        ),
        (
            {"nvidia": {"libcuda": {"path": "/x", "error": "cuInit answered 2", "code": 2}}},
            "gpu_not_usable",
            "on Windows",
        ),
        (
            {"wsl": 0, "nvidia": {"libcuda": {"path": "/x", "error": "cuInit answered 803", "code": 803}}},
            "gpu_not_usable",
            "reboot",
        ),
        ({"nvidia": {"smi": {"trouble": "blocked", "error": "GPU access blocked"}}}, "gpu_blocked", "wsl --update"),
    ],
)
def test_no_gpu(changes, code, remedy):
    outcome = judge(facts(gpus=[], **changes))
    assert codes(outcome) == [code]
    assert remedy in outcome.refusals[0].remedy
    assert outcome.plan is None
    assert "device    none: no NVIDIA GPU found" in outcome.report


def test_gpu_that_only_nvidia_smi_sees():
    outcome = judge(facts(gpus=[gpu(usable=False)], wsl=0, nvidia={"libcuda": NO_LIBCUDA}))
    assert codes(outcome) == ["no_gpu"]
    assert "nvidia-smi sees NVIDIA GeForce RTX 3060 Laptop GPU" in outcome.refusals[0].found


def test_capability_unknown():
    assert codes(judge(facts(gpus=[gpu(capability="")]))) == ["capability_unknown"]


@pytest.mark.parametrize(
    ("changes", "code", "remedy"),
    [
        ({"linux_driver_packages": ["nvidia-driver-535"]}, "linux_driver_in_wsl", "apt-get purge -y nvidia-driver-535"),
        ({"loader_libcuda": "/lib/x86_64-linux-gnu/libcuda.so.1"}, "other_libcuda_in_wsl", "sudo rm /lib/x86_64"),
        ({"loader_libcuda": ""}, "libcuda_not_in_loader", "ld.wsl.conf"),
    ],
)
def test_libraries_in_wsl(changes, code, remedy):
    outcome = judge(facts(nvidia=changes))
    assert codes(outcome) == [code]
    assert remedy in outcome.refusals[0].remedy
    assert judge(facts(nvidia=changes), device="cpu").refusals == []
    assert judge(facts(wsl=0, nvidia=changes)).refusals == []


MANAGED = {
    "path": "/home/me/chatglm/python/cpython-3.12.16-linux-x86_64-gnu/bin/python3.12",
    "version": "3.12",
    "release": "3.12.16",
    "digest": "a" * 64,
    "there": False,
    "recorded": False,
    "in_use": False,
}
BROUGHT = {name: MANAGED[name] for name in ("path", "version", "release", "digest")} | {"source": "managed"}
NONE = {"path": "", "there": False, "recorded": False, "in_use": False}


@pytest.mark.parametrize(
    ("source", "found", "managed", "expected"),
    [
        ("auto", ["3.11"], {}, "3.11"),
        ("auto", ["3.14"], {}, "managed"),
        ("auto", [], {}, "managed"),
        ("auto", ["3.14"], NONE, None),
        # What the virtualenv stands on is kept, also where the distribution brings one that fits.
        ("auto", ["3.12"], {"in_use": True, "there": True}, "managed"),
        ("host", ["3.11"], {"in_use": True}, "3.11"),
        ("host", ["3.14"], {}, None),
        ("managed", ["3.12"], {}, "managed"),
        ("managed", ["3.12"], NONE, None),
    ],
)
def test_whose_python(source, found, managed, expected):
    given = facts(pythons=[python(minor) for minor in found])
    given["managed_python"] = {**MANAGED, **managed}
    outcome = judge(given, python_source=source)
    if expected is None:
        assert codes(outcome) == ["python"]
        return
    chosen = outcome.plan.python
    assert chosen == BROUGHT if expected == "managed" else (chosen["version"], chosen["source"]) == (expected, "host")
    line = next(line for line in outcome.report if line.startswith("python"))
    assert line == (
        "python    3.12.16  brought along by uv" if expected == "managed" else f"python    {expected}  {chosen['path']}"
    )


def test_a_python_that_is_named_comes_before_one_that_is_brought():
    asked = python("3.10", "/opt/python3", asked=True)
    given = facts(pythons=[asked]) | {"managed_python": {**MANAGED, "in_use": True, "there": True}}
    assert judge(given, python="/opt/python3").plan.python["path"] == "/opt/python3"
    outcome = judge(given, python="/opt/python3", python_source="managed")
    assert codes(outcome) == ["python"]
    assert "leave one of them out" in outcome.refusals[0].remedy
    given["pythons"] = [python("3.14", "/opt/python3", asked=True)]
    assert codes(judge(given, python="/opt/python3")) == ["python"]


def test_a_refusal_without_uv_s_names_the_setting():
    given = facts(pythons=[python("3.14")]) | {"managed_python": MANAGED}
    refusal = judge(given, python_source="host").refusals[0]
    assert "virtualenv_python_source is host; interpreters: /usr/bin/python3.14 (3.14.1)" in refusal.found
    assert "leave virtualenv_python_source out" in refusal.remedy


def test_the_disk_that_a_python_needs_is_counted_until_it_is_there():
    def needed(**managed):
        given = facts(pythons=[]) | {"managed_python": {**MANAGED, **managed}}
        return plan.disk_needed(given, plan.Settings(), "2.7.1")

    assert needed() - needed(there=True) == pytest.approx(plan.MANAGED_PYTHON_GB * GIB)


def python(minor, path="", asked=False):
    return {"path": path or f"/usr/bin/python{minor}", "version": f"{minor}.1", "minor": minor, "asked": asked}


@pytest.mark.parametrize(
    ("found", "setting", "expected"),
    [
        ([python("3.10"), python("3.12"), python("3.11")], "", "3.12"),
        ([python("3.13"), python("3.11")], "", "3.11"),
        ([python("3.13", "/usr/bin/python3")], "", None),
        ([python("3.9")], "", None),
        ([], "", None),
        ([python("3.10", "/opt/py/bin/python3", asked=True)], "/opt/py/bin/python3", "3.10"),
        ([python("3.13", asked=True)], "python3.13", None),
        ([], "/nowhere", None),
    ],
)
def test_pythons(found, setting, expected):
    outcome = judge(facts(pythons=found), python=setting)
    if expected:
        assert outcome.plan.python["version"] == expected
        return
    assert codes(outcome) == ["python"]
    text = str(outcome.refusals[0])
    assert "-e preflight_python=PATH" in text
    assert "no unmodified combination of transformers and the model's code" in text
    assert all(f"{one['path']}" in text for one in found if not setting)


def test_interpreter_in_use_is_kept():
    outcome = judge(facts(pythons=[python("3.12"), {**python("3.10"), "in_use": True}]))
    assert outcome.plan.python["version"] == "3.10"


@pytest.mark.parametrize(
    ("release", "component"),
    [
        ("bookworm", "non-free"),
        ("jammy", "multiverse"),
        ("mint", "multiverse"),
        ("newer", "multiverse"),
        ("fedora", ""),
    ],
)
def test_releases(release, component):
    outcome = judge(facts(release))
    assert (outcome.plan.apt_component, outcome.plan.notes) == (component, [])
    assert outcome.plan.torch_cuda == "12.6"
    assert (judge(facts(release), device="cpu").plan.torch_cuda, outcome.likely) == ("", outcome.plan)


@pytest.mark.parametrize(
    ("changes", "codes_expected", "remedy"),
    [
        ({"wsl": 1, "kernel": "4.4.0-19041-Microsoft"}, ["wsl1"], "wsl --set-version Ubuntu-22.04 2"),
        ({"architecture": "aarch64"}, ["architecture"], ""),
        ({"clock": {"sane": False, "now": "1970-01-01 00:00:07 UTC"}}, ["clock"], "sudo hwclock --hctosys"),
        ({"git": ""}, ["git"], "sudo apt-get update; sudo apt-get install -y git"),
        ({"disk": {"writable": False}}, ["home_not_writable"], "sudo install -d -o me /home/me/chatglm"),
        (
            {"disk": {"read_only": ["/home/me/chatglm/my bin"]}},
            ["home_read_only"],
            "chmod u+rwX '/home/me/chatglm/my bin'",
        ),
        (
            {"disk": {"foreign": ["/home/me/chatglm/venv"]}},
            ["home_foreign_files"],
            "sudo chown -R me: /home/me/chatglm",
        ),
        ({"disk": {"blocked_by": "/home/me/chatglm"}}, ["home_not_folder"], "-e chatglm_home=PATH"),
        ({"disk": {"options": ["rw", "noexec"]}}, ["home_file_system"], "-e chatglm_home=PATH"),
        ({"disk": {"type": "exfat"}}, ["home_file_system"], ""),
        ({"disk": {"free": 5 * GIB}}, ["disk"], "free some space"),
        ({"memory": {"available": 2 * GIB, "swap_free": GIB}}, ["memory"], ".wslconfig"),
        ({"wsl": 0, "memory": {"available": 2 * GIB, "swap_free": GIB}}, ["memory"], "mkswap"),
        (
            {"port": {"free": False, "error": "in use", "owner": {"pid": 7, "command": "python x.py", "ours": False}}},
            ["port"],
            "stop it (kill 7), or choose another port: -e chatglm_port=7861",
        ),
        ({"port": {"free": False, "error": "Address in use", "owner": None}}, ["port"], "-e chatglm_port=7861"),
    ],
)
def test_host_refusals(changes, codes_expected, remedy):
    outcome = judge(facts(**changes))
    assert codes(outcome) == codes_expected
    assert remedy in outcome.refusals[0].remedy


def test_all_at_once():
    given = facts(wsl=1, git="", pythons=[], clock={"sane": False, "now": "then"}, disk={"free": 0, "writable": False})
    assert codes(judge(given)) == ["wsl1", "clock", "git", "home_not_writable", "python", "disk"]


def test_own_demo_on_the_port():
    owner = {"pid": 7, "command": "python web_demo.py", "ours": True}
    outcome = judge(facts(gpus=[gpu(free=0.5)], port={"free": False, "error": "", "owner": owner}))
    assert outcome.refusals == []
    assert "page      http://127.0.0.1:7860 (held by our own demo)" in outcome.report


@pytest.mark.parametrize(
    ("installed", "torch", "expected"),
    [
        ({}, "2.7.1", 3.65 + 6.0 + 1),
        ({}, "cpu", 3.65 + 1.5 + 1),
        ({"weights": int(3.65 * GIB)}, "2.7.1", 6.0 + 1),
        ({"weights": int(3.66 * GIB), "torch": "2.7.1"}, "2.7.1", 0.25),
        ({"weights": int(3.66 * GIB), "torch": "cpu"}, "2.8.0", 7.5 + 1),
        ({"weights": 2 * GIB, "torch": "cpu"}, "cpu", 1.65 + 1),
    ],
)
def test_disk_needed(installed, torch, expected):
    assert plan.disk_needed(facts(installed=installed), plan.Settings(), torch) / GIB == pytest.approx(expected)


def test_a_proof_on_another_device_excuses_nothing():
    proven = {"proven": True, "proven_on": "cpu"}
    assert codes(judge(facts(gpus=[gpu(total=6.0, free=1.0)], installed=proven))) == ["gpu_memory"]
    assert codes(judge(facts(memory={"available": GIB, "swap_free": 0}, installed=proven))) == ["memory"]
    short = facts(memory={"available": GIB, "swap_free": 0}, installed={**proven, "proven_on": "cuda"})
    assert codes(judge(short, device="cpu")) == ["memory"]


def test_memory_is_not_refused_while_proven():
    outcome = judge(facts(memory={"available": GIB, "swap_free": 0}, installed={"proven": True}))
    assert outcome.refusals == []
    assert "too little to load the model once more" in outcome.warnings[0]


def test_windows_drive_is_warned_of():
    outcome = judge(facts(disk={"windows_drive": True, "type": "9p", "mount": "/mnt/d"}))
    assert outcome.refusals == []
    assert "is on a Windows drive (/mnt/d, 9p)" in outcome.warnings[0]


def source(url, reachable, error=""):
    return {"url": url, "reachable": reachable, "status": 200 if reachable else 0, "error": error}


def test_sources():
    good, bad = source("https://a", True), source("https://b", False, "timed out")
    one = judge(facts(sources=[{"name": "weights", "remedy": "", "urls": [good, bad]}]))
    assert one.refusals == []
    assert one.warnings == ["weights: https://b: timed out; another source answers"]
    none = judge(facts(sources=[{"name": "weights", "remedy": "-e x=y", "urls": [bad]}]))
    assert codes(none) == ["sources"]
    assert "-e x=y" in none.refusals[0].remedy
    tls = source("https://b", False, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    assert "chatglm_ca_bundle" in judge(facts(sources=[{"name": "w", "remedy": "", "urls": [tls]}])).refusals[0].remedy


def test_cpu():
    outcome = judge(facts(gpus=[], nvidia={"libcuda": NO_LIBCUDA, "smi": NO_SMI}), device="cpu")
    assert (outcome.plan.device, outcome.plan.torch, outcome.plan.gpu) == ("cpu", "cpu", None)
    assert "device    cpu, as asked" in outcome.report
    assert outcome.plan.engine == "torch"
    assert not any("unproven" in line for line in outcome.report)
    # gcc is for upstream's own code alone.
    assert judge(facts(gcc=""), device="cpu").refusals == []
    assert codes(judge(facts(gcc=""), device="cpu", engine="upstream")) == ["gcc"]
    assert judge(facts(gcc=""), device="cpu", engine="upstream", int4_capabilities=()).refusals == []


def test_injected_facts_are_named():
    assert judge(facts(injected=["wsl", "gpus"])).warnings == ["not observed but given (preflight_inject): gpus, wsl"]


def test_cuda_error_codes_have_words():
    outcome = judge(facts(gpus=[], nvidia={"libcuda": {"path": "/x", "error": "cuInit answered 100", "code": 100}}))
    assert nvidia.CUDA_ERRORS[100] in outcome.refusals[0].found


def installed(torch):
    return {"weights": 4 * GIB, "torch": torch, "proven": True}


@pytest.mark.parametrize(
    ("given", "asked", "device", "torch", "minor"),
    [
        (facts(clock={"sane": False}), "auto", "cuda", "2.7.1", "3.10"),
        (facts(gpus=[gpu(capability="12.0")], git=""), "auto", "cuda", "2.8.0", "3.10"),
        # Without a GPU in sight: what is installed, else what most have.
        (facts(gpus=[]), "auto", "cuda", "2.7.1", "3.10"),
        (facts(gpus=[], installed=installed("2.8.0")), "auto", "cuda", "2.8.0", "3.10"),
        (facts(gpus=[], installed=installed("cpu")), "auto", "cpu", "cpu", "3.10"),
        (facts(gpus=[], installed=installed("cpu")), "cuda", "cuda", "2.7.1", "3.10"),
        (facts(gpus=[gpu(total=4.0)], installed=installed("cpu")), "auto", "cpu", "cpu", "3.10"),
        (facts(clock={"sane": False}, installed=installed("2.8.0")), "cpu", "cpu", "cpu", "3.10"),
        # A Linux driver in WSL: the GPU is not chosen, but seen.
        (facts(nvidia={"linux_driver_packages": ["nvidia-driver-550"]}), "auto", "cuda", "2.7.1", "3.10"),
        (facts(pythons=[{"path": "/x/python3.9", "version": "3.9.1", "minor": "3.9", "in_use": True}]),
         "auto", "cuda", "2.7.1", "3.9"),
        (facts(pythons=[]), "auto", "cuda", "2.7.1", ""),
    ],
)  # fmt: skip
def test_likely_plan_of_a_refused_host(given, asked, device, torch, minor):
    outcome = judge(given, device=asked)
    assert outcome.plan is None
    likely = outcome.likely
    assert (likely.device, likely.torch, likely.python.get("version", "")) == (device, torch, minor)
    assert outcome.as_dict()["likely"]["device"] == device


def test_likely_plan_is_the_plan():
    outcome = judge(facts())
    assert outcome.plan == outcome.likely


@pytest.mark.parametrize(
    ("wsl", "error", "remedy"),
    [
        (2, "[Errno -3] Temporary failure in name resolution", "wsl --shutdown, then open WSL again"),
        (2, "[Errno -2] Name or service not known", "generateResolvConf=false"),
        (2, "timed out", "check the network and the proxy"),
        (0, "[Errno -2] Name or service not known", "check the network and the proxy"),
    ],
)
def test_names_that_wsl_does_not_find(wsl, error, remedy):
    urls = [{"url": "https://h", "reachable": False, "error": error}]
    refusals, _ = plan.source_checks({"wsl": wsl, "sources": [{"name": "weights", "remedy": "", "urls": urls}]})
    assert remedy in refusals[0].remedy


NETWORK = {"found": "all_proxy is socks5://h:1", "expected": "an HTTP proxy", "remedy": "unset all_proxy"}


@pytest.mark.parametrize(
    ("safe", "stops", "refused", "warned"),
    [
        (False, ["weights"], ["network_variables"], ""),
        (False, [], [], "nothing is fetched that way now, to mend it: unset all_proxy"),
        (True, [], [], "put right for this run, to mend it: unset all_proxy"),
    ],
)
def test_network_variables_that_cannot_work(safe, stops, refused, warned):
    """Where something is to be fetched through it, what would fail in the midst of it is refused at once."""
    outcome = judge(facts(network=[{**NETWORK, "safe": safe, "stops": stops}]))
    assert codes(outcome) == refused
    assert any(warned in warning for warning in outcome.warnings) is bool(warned)
