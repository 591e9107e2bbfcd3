"""Checks of the model: its files, the copy of its code that runs, and its tokenizer."""

from __future__ import annotations

import shlex

from ..language.messages import Text
from ..smoke_test.smoke import PINNED_REVISION
from .preflight import LOOK
from .registry import (
    AGAIN,
    FULL,
    NO_MODEL,
    OK,
    REPAIRABLE,
    YOURS,
    Check,
    Evidence,
    Finding,
    Judge,
    known,
    listed,
    listed_faults,
    stopped,
)
from .virtualenv import IMPORTS

WEIGHTS = (
    "weights_blocked",
    "weights_missing",
    "weights_pointer",
    "weights_html",
    "weights_truncated",
    "weights_unrecorded",
    "weights_digest",
)

_TOKENIZER_FILE = ("ParseFromArray", "sentencepiece_processor.cc", "could not parse ModelProto")
_NO_FILE = ("does not appear to have a file named", "Error no file named", "stat: path should be string")


def _weights(kinds: tuple[str, ...]) -> Judge:
    def judge(evidence: Evidence) -> Finding | None:
        files = known(evidence, "weights").get("files") or []
        bad = [f"{each['path']}: {each['reason']}" for each in files if each.get("kind") in kinds]
        there = sum(each.get("kind") != "missing" for each in files)
        return (
            Finding(REPAIRABLE, listed_faults(bad))
            if bad
            else Finding(OK, Text(f"none of {there} files", f"{there} 个文件都不是"), applies=there > 0)
        )

    return judge


def _model_bytes(evidence: Evidence) -> int:
    """Return how much lies in the model's folder; the files' names are not known before a hub was asked."""
    return int(known(evidence, "host").get("facts", {}).get("installed", {}).get("weights", 0))


def _weights_missing(evidence: Evidence) -> Finding | None:
    weights = known(evidence, "weights")
    files = weights.get("files") or []
    bad = [each["path"] for each in files if each.get("kind") == "missing"]
    if not files and not _model_bytes(evidence):
        path = evidence["context"]["model"]
        return Finding(REPAIRABLE, Text(f"no files in {path}", f"{path} 里没有文件"))
    if bad:
        told = f"{len(bad)} of {len(files)} missing: {listed(bad)}"
        return Finding(REPAIRABLE, Text(told, f"{len(files)} 个中缺 {len(bad)} 个：{listed(bad)}"))
    return Finding(OK, Text(f"{len(files)} files", f"{len(files)} 个文件"))


def _weights_unrecorded(evidence: Evidence) -> Finding | None:
    files = known(evidence, "weights").get("files") or []
    bad = [f"{each['path']}: {each['reason']}" for each in files if each["action"] == "adopted"]
    if not files and _model_bytes(evidence):
        bad = ["the files and digests of this revision are not known: the hub will be asked"]
    if bad:
        return Finding(REPAIRABLE, listed_faults(bad))
    recorded = sum(each["action"] == "kept" for each in files)
    if recorded < len(files) or not files:  # others name what is wrong
        return Finding(OK, Text(f"{recorded} files", f"{recorded} 个文件"), applies=recorded > 0)
    seen = evidence.get("sums")
    if seen is None:
        return None
    if seen["error"]:
        return Finding(REPAIRABLE, seen["error"])
    sums = seen["files"]
    told = Text(f"{recorded} files, the sums of {sums} for the launcher", f"{recorded} 个文件，启动脚本核对 {sums} 个")
    return Finding(OK, told)


def _weights_digest(evidence: Evidence) -> Finding | None:
    finding = _weights(("digest", "long"))(evidence)
    if finding is None or finding.verdict != OK:
        return finding
    quick = Text("the small ones read, the big ones by size and times", "小文件已读，大文件按大小和时间")
    return Finding(OK, Text("all read", "全部已读") if evidence["context"]["deep"] else quick)


def _module_cache(evidence: Evidence) -> Finding | None:
    seen = evidence.get("module_cache")
    if seen is None:
        return None
    if seen["differing"]:
        todo = f"kill {seen['pid']}, then {shlex.quote(evidence['context']['home'])}/bin/chatglm-run"
        return Finding(YOURS, listed(seen["differing"]), todo)
    count = seen["files"]
    same = Text(f"{count} files, as verified", f"{count} 个文件，与校验过的一致")
    return Finding(OK, same if count else Text("none in use", "没有在用的"))


def _tokenizer(evidence: Evidence) -> Finding | None:
    seen = evidence.get("tokenizer")
    if seen is None:
        return None
    if "Tokenizer' object has no attribute" in str(seen.get("error")):  # code from before transformers 4.34
        return Finding(YOURS, seen["error"], f"-e chatglm_model_revision={PINNED_REVISION}")
    if seen.get("error"):
        return Finding(REPAIRABLE, seen["error"])
    return Finding(OK, f"{seen['tokens']} tokens of {seen['text']}")


CHECKS: tuple[Check, ...] = (
    Check(
        "weights_blocked",
        Text("place of the weights", "权重的位置"),
        Text("the folder or a file in it cannot be read, or is something else", "目录或其中的文件读不了，或是别的东西"),
        Text("make {model} readable, or move it away", "让 {model} 可读，或把它移开"),
        stopped("weights"),
        repairs="user",
        needs=LOOK,
        symptoms=("Permission denied", "Is a directory", "IsADirectoryError"),
    ),
    Check(
        "weights_missing",
        Text("files of the model", "模型文件"),
        Text("files of the model are missing; some shares have the weights only", "缺少模型文件；有的网盘只有权重"),
        AGAIN,
        _weights_missing,
        needs=("weights_blocked",),
        symptoms=(*NO_MODEL, *_NO_FILE, "No such file or directory: 'pytorch_model.bin'"),
    ),
    Check(
        "weights_pointer",
        Text("Git LFS pointers", "Git LFS 指针"),
        Text("a clone without git-lfs left a pointer of some 130 bytes", "没有 git-lfs 的克隆只留下约 130 字节的指针"),
        AGAIN,
        _weights(("pointer",)),
        needs=("weights_blocked",),
        symptoms=("invalid load key, 'v'", "git-lfs", *_TOKENIZER_FILE),
    ),
    Check(
        "weights_html",
        Text("web pages saved as files", "被存成文件的网页"),
        Text("a proxy's or a share's page was saved instead of the file", "存下来的是代理或网盘的网页，而不是文件"),
        AGAIN,
        _weights(("html",)),
        needs=("weights_blocked",),
        symptoms=("invalid load key, '<'", "Consistency check failed", *_TOKENIZER_FILE),
    ),
    Check(
        "weights_truncated",
        Text("sizes of the files", "文件大小"),
        Text("a download was cut", "下载被截断"),
        AGAIN,
        _weights(("short",)),
        needs=("weights_blocked",),
        symptoms=(
            "PytorchStreamReader failed",
            "central directory",
            "Consistency check failed",
            "unexpected EOF",
            "Ran out of input",
            *_TOKENIZER_FILE,
        ),
    ),
    Check(
        "weights_digest",
        Text("content of the weights", "权重内容"),
        Text("a file has another content than the pinned revision", "文件内容与锁定版本不同"),
        AGAIN,
        _weights_digest,
        needs=("weights_blocked", "weights_missing"),
        symptoms=(
            "probability tensor contains either",
            "invalid load key",
            "UnpicklingError",
            "size mismatch for",
            "central directory",
            *_TOKENIZER_FILE,
        ),
    ),
    Check(
        "weights_unrecorded",
        Text("record of the weights", "权重记录"),
        Text("a file is there that was never verified", "有文件从未校验过"),
        AGAIN,
        _weights_unrecorded,
        needs=("weights_blocked",),
        probe="sums",
        symptoms=("files of the model that are not as they were verified",),
    ),
    Check(
        "module_cache",
        Text("transformers' copy of the model's code", "transformers 缓存的模型代码"),
        Text(
            "the page that runs has another copy of the model's code than the verified one",
            "正在运行的网页所用的模型代码副本与校验过的不同",
        ),
        Text("stop the page, start it again: {home}/bin/chatglm-run", "停掉网页再启动：{home}/bin/chatglm-run"),
        _module_cache,
        repairs="user",
        cost=2,
        needs=WEIGHTS,
        probe="module_cache",
        symptoms=("transformers_modules", "unexpected keyword argument"),
    ),
    Check(
        "tokenizer",
        Text("the tokenizer works", "分词器能否工作"),
        Text(
            "the tokenizer cannot be built from verified files: packages do not fit the model's code",
            "用校验过的文件也建不起分词器：软件包与模型代码不配",
        ),
        FULL,
        _tokenizer,
        cost=3,
        needs=(*IMPORTS, *WEIGHTS),
        probe="tokenizer",
        symptoms=("ChatGLMTokenizer", "has no attribute 'tokenizer'", "trust_remote_code", *_TOKENIZER_FILE),
    ),
)
