"""A host for the report as a GPU host's run would give it. Invented: no GPU has been seen yet."""

from ansible.module_utils.chatglm.report import report_page

GIB = 1024**3
GPU = {
    "index": 0,
    "name": "NVIDIA GeForce RTX 3060 Laptop GPU",
    "memory_total": 6 * GIB,
    "memory_free": 5216 * 1024**2,
    "capability": "8.6",
    "usable": True,
}


def step(role, name, seconds, outcome="ok"):
    return {"role": role, "name": name, "seconds": seconds, "outcome": outcome}


def verdict(name, found, ok=True):
    return {"name": name, "ok": ok, "found": found, "expected": "", "remedy": ""}


def host(**more):
    """Return a host with everything in it."""
    told = {
        "time": "2026-11-22T20:00:00+00:00",
        "outcome": "changed",
        "lines": [
            "done      virtualenv: built, 104 packages, 5.31 GB on disk",
            "          source repository: clone",
            "          weights: 8 files, 3.65 GB fetched",
            "proven    2026-11-22T19:59:58+00:00, 21.4 tokens/s, first after 0.6 s, on cuda, GPU memory 4.20 GB",
            '          "你好！我是人工智能助手 ChatGLM2-6B，很高兴见到你"',
            "chat      runs in the background, and starts with the distribution",
            "open      http://127.0.0.1:7860",
            "stop      /home/you/chatglm/bin/chatglm stop",
            "repair    run the same command again",
        ],
        "facts": {
            "kernel": "5.15.90.1-microsoft-standard-WSL2",
            "wsl": 2,
            "distribution": {"name": "Ubuntu 22.04.3 LTS"},
            "memory": {"total": 16 * GIB},
            "disk": {"free": 210 * GIB},
            "gpus": [GPU],
            "nvidia": {"driver": "528.79"},
        },
        "plan": {
            "device": "cuda",
            "gpu": GPU,
            "python": {"path": "/usr/bin/python3.10", "version": "3.10.12"},
            "torch": "2.7.1",
            "transformers": "4.41.2",
            "engine": "upstream",
        },
        "roles": [{"role": "virtualenv", "seconds": 251.0, "outcome": "changed", "bytes": 0}],
        "steps": [
            step("preflight", "Look at the host", 1.31),
            step("cuda_libs", "Install the CUDA libraries", 48.2, "changed"),
            step("virtualenv", "Build the virtualenv, or repair it", 251.04, "changed"),
            step("source", "Fetch the source repository at its pinned commit", 4.7, "changed"),
            step("weights", "Fetch and verify the weights", 612.9, "changed"),
            step("web_demo", "Patch the web demo", 0.4, "changed"),
            step("smoke_test", "Prove the chat, or find it proven", 71.3, "changed"),
            *(step("chatglm", f"Step {number}", 0.02) for number in range(9)),
        ],
        "proof": {
            "time": "2026-11-22T19:59:58+00:00",
            "question": "你好",
            "verdicts": [
                verdict("device", "200 tensors on cuda"),
                verdict("int4", "112 layers with two weights in a byte"),
                verdict("answer", "你好👋！我是人工智能助手 ChatGLM2-6B"),
                verdict("speed", "0.4 tokens/s", ok=False),
            ],
            "model": {
                "answer": "你好👋！我是人工智能助手 ChatGLM2-6B，很高兴见到你，欢迎问我任何问题。",
                "tokens_per_second": 21.4,
                "first_token_seconds": 0.6,
                "load_seconds": 38.0,
                "rss_peak": 4.3 * GIB,
                "gpu": {
                    "allocated_peak": 4.1 * GIB,
                    "reserved_peak": 4.2 * GIB,
                    "free_before": 5.09 * GIB,
                    "free_after": 0.45 * GIB,
                    "total": 6 * GIB,
                },
            },
            "page": {"ready_seconds": 52.0},
        },
        "versions": {"torch": "2.7.1", "gradio": "6.17.3", "python": "3.10.12"},
        "digests": {"source": "cb8e8b43c0951b32614f25c03e1ab593a0603a1c", "weights": "83f8" * 16},
        "doctor": {
            "time": "2026-11-22T20:01:00Z",
            "checks": [
                {"code": "settings", "verdict": "ok", "evidence": "as they should be", "cause": "", "remedy": ""},
                {
                    "code": "weights_pointer",
                    "verdict": "repairable",
                    "evidence": "tokenizer.model: a Git LFS pointer of 132 bytes came instead of the file",
                    "cause": "a clone without git-lfs left a pointer of some 130 bytes",
                    "remedy": "./bootstrap ansible-playbook site.yml -i inventory/wsl",
                },
            ],
        },
    }
    return {**report_page.blank(), **told, **more}


def data(**hosts):
    return {"time": "2026-11-22T20:00:00+00:00", "hosts": hosts or {"localhost": host()}}
