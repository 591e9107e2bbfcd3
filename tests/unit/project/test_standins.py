"""The stand-ins keep their promises: protocols, faults, and the same bytes on every machine."""

import hashlib
import io
import json
import os
import pickletools
import re
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
import serve
import source_repo
import tiny_model
import yaml
from serve import Fault, ModelRepo, StandIn

ROOT = Path(__file__).resolve().parents[3]
LFS = "pytorch_model.bin"
PLAIN = "config.json"
# sha256 of what no checkout can change; the remote code's digests are in the revision id.
DIGESTS = {
    "pytorch_model.bin": "ae39d0c47e191acab68527e7e0b9945f35c44b9fd0bb4bb5612b089a96aa5dca",
    "tokenizer.model": "57aac6ff7c468731f098b303092f9c827084b34a61b306de91e1c2d215a022a3",
    "config.json": "dc2d573195820befc6e031a77346db68c1dd56a208468be13ab848398a82f3f3",
}


@pytest.fixture
def standin():
    with StandIn() as running:
        yield running
        assert running.leaks == []


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args, **kwargs):
        return None


def get(url, headers=None, method="GET", follow=True, data=None):
    request = urllib.request.Request(url, headers=headers or {}, method=method, data=data)
    handlers = [urllib.request.ProxyHandler({})] + ([] if follow else [_NoRedirect()])
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=10) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


def file_url(standin, name, revision="main"):
    return f"{standin.url}/{standin.model_repo}/resolve/{revision}/{name}"


# --- what is served --------------------------------------------------------------------------------------------------


def test_the_bytes_are_the_same_everywhere():
    files = tiny_model.files()
    assert {n: hashlib.sha256(files[n]).hexdigest() for n in DIGESTS} == DIGESTS


def test_the_demo_inventory_pins_what_is_served():
    pinned = yaml.safe_load((ROOT / "inventory/demo/group_vars/chatglm.yml").read_text())
    assert pinned["chatglm_source_version"] == source_repo.repository()[0]
    assert pinned["chatglm_model_revision"] == serve.tiny_repo().revision
    assert pinned["chatglm_model_repo"] == serve.MODEL_REPO
    assert pinned["chatglm_source_url"].endswith(serve.SOURCE_PATH)
    assert pinned["chatglm_standins_port"] == serve.PORT
    assert pinned["smoke_test_expected"] in tiny_model.answer("你好")


def test_the_checkpoint_imports_only_what_the_true_one_does():
    with zipfile.ZipFile(io.BytesIO(tiny_model.files()[LFS])) as archive:
        assert archive.testzip() is None
        program = archive.read("archive/data.pkl")
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    globals_ = {arg for opcode, arg, _ in pickletools.genops(program) if opcode.name == "GLOBAL"}
    assert globals_ == {
        "collections OrderedDict",
        "torch CharStorage",
        "torch HalfStorage",
        "torch._utils _rebuild_tensor_v2",
    }
    names = [a for o, a, _ in pickletools.genops(program) if o.name == "BINUNICODE" and a.startswith("transformer.")]
    assert len(names) == len(set(names)) == 4 + 2 * 11
    assert "transformer.encoder.layers.1.mlp.dense_4h_to_h.weight_scale" in names
    assert sizes["archive/data/0"] == 512 * 320 * 2


def test_the_packing_is_upstreams():
    matrix = tiny_model.Int4(1, 4)
    matrix.put(0, {0: 7, 1: -1, 2: -8, 3: 1}, 0.5)
    assert matrix.packed() == bytes([0x7F, 0x81])  # even column in the high nibble, two's complement
    with pytest.raises(ValueError, match="8 is no int4"):
        matrix.put(0, {0: 8}, 0.5)


def test_every_piece_of_an_answer_is_told_apart_by_an_orthogonal_code():
    codes = [tiny_model.code(i) for i in range(tiny_model.CODES)]
    for i, a in enumerate(codes):
        assert sum(x * y for x, y in zip(a, codes[(i + 5) % 128], strict=True)) == 0
        assert sum(x * x for x in a) == 128


def fields(data):
    """The fields of a protobuf message as (number, value)."""
    at = 0

    def varint():
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 5:
            yield key >> 3, struct.unpack("<f", data[at : at + 4])[0]
            at += 4
        else:
            assert key & 7 == 2
            size = varint()
            yield key >> 3, data[at : at + size]
            at += size


def test_the_tokenizer_is_a_sentencepiece_model():
    model = list(fields(tiny_model.tokenizer_model()))
    pieces = [dict(fields(value)) for number, value in model if number == 1]
    assert [(p[1].decode(), p[3]) for p in pieces[:4]] == [("<unk>", 2), ("<s>", 3), ("</s>", 3), ("<0x00>", 6)]
    assert pieces[258][1] == b"<0xFF>"
    assert len({p[1] for p in pieces}) == len(pieces)
    assert len(pieces) + 5 <= tiny_model.VOCABULARY
    trainer = dict(fields(next(value for number, value in model if number == 2)))
    assert trainer == {3: 1, 4: len(pieces), 35: 1, 40: 0, 41: 1, 42: 2, 43: (1 << 64) - 1}


def test_sentencepiece_reads_the_tokenizer():
    sentencepiece = pytest.importorskip("sentencepiece", reason="sentencepiece is not installed here")
    model = sentencepiece.SentencePieceProcessor(model_proto=tiny_model.tokenizer_model())
    assert (model.unk_id(), model.bos_id(), model.eos_id()) == (0, 1, 2)
    for text in ("[Round 1]\n\n问：你好\n\n答：", "naïve 🦙 \t 𝔘", "  two  spaces "):
        assert model.decode(model.encode(text)) == text
    assert model.encode("问：你好\n\n答：", out_type=str) == ["▁", "问：", "你好", "<0x0A>", "<0x0A>", "答："]


def test_answers_tell_that_they_prove_nothing():
    assert tiny_model.answer("你好").startswith("你好👋！我是演示用的微型 int4 模型")
    assert "do NOT prove the true weights" in tiny_model.answer("你好")
    assert len({tiny_model.answer(q) for q in ("你好", "int4?", "天气？")}) == 3
    assert all(len(text.split("|")) >= 25 for text in tiny_model.ANSWERS)


# --- the hub ---------------------------------------------------------------------------------------------------------


def test_metadata(standin):
    for path in ("", f"/revision/{standin.model_revision}", "/revision/main"):
        info = json.loads(get(f"{standin.url}/api/models/{standin.model_repo}{path}?blobs=true").body)
        assert info["sha"] == standin.model_revision
        files = {s["rfilename"]: s for s in info["siblings"]}
        assert set(files) == set(tiny_model.files())
        plain, lfs = tiny_model.files()[PLAIN], tiny_model.files()[LFS]
        assert files[PLAIN]["blobId"] == hashlib.sha1(b"blob %d\0" % len(plain) + plain).hexdigest()
        assert files[LFS]["lfs"]["sha256"] == hashlib.sha256(lfs).hexdigest()
        assert files[LFS]["size"] == files[LFS]["lfs"]["size"] == len(lfs)
    assert "size" not in json.loads(get(f"{standin.url}/api/models/{standin.model_repo}").body)["siblings"][0]
    tree = json.loads(get(f"{standin.url}/api/models/{standin.model_repo}/tree/main").body)
    assert {e["path"]: e["size"] for e in tree} == {n: len(d) for n, d in tiny_model.files().items()}


def test_files(standin):
    plain = get(file_url(standin, PLAIN))
    assert (plain.status, plain.body) == (200, tiny_model.files()[PLAIN])
    assert plain.headers["X-Repo-Commit"] == standin.model_revision
    head = get(file_url(standin, LFS, standin.model_revision), method="HEAD", follow=False)
    assert head.status == 302
    assert head.headers["X-Linked-Etag"] == f'"{DIGESTS[LFS]}"'
    assert head.headers["X-Linked-Size"] == str(len(tiny_model.files()[LFS]))
    assert head.headers["Location"].startswith(standin.cdn_url) != standin.url
    assert get(file_url(standin, LFS)).body == tiny_model.files()[LFS]
    assert [r.server for r in standin.requests] == ["hub", "hub", "hub", "cdn"]
    assert standin.requests[-1].bytes == len(tiny_model.files()[LFS])


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=100-", 206, 100, None),
        ("bytes=-7", 206, -7, None),
        ("bytes=5-99999999", 206, 5, None),
        ("bytes=x-", 200, 0, None),
        ("", 200, 0, None),
    ],
)
def test_ranges(standin, asked, status, start, end):
    for name in (LFS, PLAIN):
        whole = tiny_model.files()[name]
        answer = get(file_url(standin, name), {"Range": asked} if asked else {})
        assert (answer.status, answer.body) == (status, whole[start:end])
        if status == 206:
            first = start % len(whole)
            last = first + len(answer.body) - 1
            assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(whole)}"


def test_a_range_past_the_end_and_a_changed_file(standin):
    size = len(tiny_model.files()[LFS])
    answer = get(file_url(standin, LFS), {"Range": f"bytes={size}-"})
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    changed = get(file_url(standin, PLAIN), {"Range": "bytes=5-", "If-Range": '"another"'})
    assert (changed.status, changed.body) == (200, tiny_model.files()[PLAIN])


def test_what_is_not_there(standin):
    def code(path):
        answer = get(standin.url + path)
        return answer.status, answer.headers["X-Error-Code"]

    assert code(f"/{standin.model_repo}/resolve/main/none.txt") == (404, "EntryNotFound")
    assert code(f"/{standin.model_repo}/resolve/other/{PLAIN}") == (404, "RevisionNotFound")
    assert code(f"/api/models/{standin.model_repo}/revision/{'0' * 40}") == (404, "RevisionNotFound")
    assert code("/api/models/no/body") == (401, "RepoNotFound")
    assert code("/nonsense") == (404, None)


def test_the_token():
    with StandIn(token="secret") as standin:
        url = file_url(standin, LFS)
        denied = get(url)
        assert (denied.status, denied.headers["X-Error-Code"]) == (401, "GatedRepo")
        assert get(url, {"Authorization": "Bearer wrong"}).status == 401
        assert get(f"{standin.url}/api/models/{standin.model_repo}").status == 200
        assert get(url, {"Authorization": "Bearer secret"}, follow=False).status == 302
        assert standin.leaks == []
        get(f"{standin.cdn_url}/cdn/{DIGESTS[LFS]}", {"Authorization": "Bearer secret"})
        assert [r.server for r in standin.leaks] == ["cdn"]
    with StandIn(token="secret", private=True) as standin:
        denied = get(f"{standin.url}/api/models/{standin.model_repo}")
        assert (denied.status, denied.headers["X-Error-Code"]) == (401, "RepoNotFound")


def test_the_unmodified_client(tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed here")
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with StandIn(token="secret") as standin:
        api = hub.HfApi(endpoint=standin.url, token="secret")
        info = api.model_info(standin.model_repo, files_metadata=True)
        assert info.sha == standin.model_revision
        assert {s.rfilename: s.size for s in info.siblings} == {n: len(d) for n, d in tiny_model.files().items()}
        assert {e.path for e in api.list_repo_tree(standin.model_repo)} == set(tiny_model.files())
        assert api.get_paths_info(standin.model_repo, [LFS])[0].lfs.sha256 == DIGESTS[LFS]
        api.snapshot_download(
            standin.model_repo, revision=standin.model_revision, local_dir=tmp_path / "m", cache_dir=tmp_path / "c"
        )
        for name, data in tiny_model.files().items():
            assert (tmp_path / "m" / name).read_bytes() == data
        with pytest.raises(hub.errors.EntryNotFoundError):
            api.hf_hub_download(standin.model_repo, "none", local_dir=tmp_path / "m")
        with pytest.raises(hub.errors.GatedRepoError):
            hub.HfApi(endpoint=standin.url, token=False).hf_hub_download(
                standin.model_repo, PLAIN, local_dir=tmp_path / "n"
            )
        assert standin.leaks == []


def test_a_file_from_the_disk(tmp_path):
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(3_000_000))
    repo = ModelRepo({"big.bin": path, "note": b"small"}, {"big.bin"})
    with StandIn(repos={"bench/big": repo}) as standin:
        url = f"{standin.url}/bench/big/resolve/{repo.revision}/big.bin"
        assert get(url).body == path.read_bytes()
        assert get(url, {"Range": "bytes=2999990-"}).body == path.read_bytes()[-10:]
        assert get(f"{standin.url}/bench/big/resolve/main/note").body == b"small"


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_status_for_some_requests(standin):
    standin.faults.append(Fault("/resolve/", status=429, headers={"Retry-After": "1"}, after=1, times=2))
    answers = [get(file_url(standin, PLAIN)) for _ in range(4)]
    assert [a.status for a in answers] == [200, 429, 429, 200]
    assert answers[1].headers["Retry-After"] == "1"
    assert [r.status for r in standin.requests] == [200, 429, 429, 200]


def test_a_range_ignored(standin):
    standin.faults.append(Fault("/cdn/", ignore_range=True))
    answer = get(file_url(standin, LFS), {"Range": "bytes=100-"})
    assert (answer.status, answer.body) == (200, tiny_model.files()[LFS])


def test_another_text(standin):
    standin.faults.append(Fault("config.json", body="html"))
    answer = get(file_url(standin, PLAIN))
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.body.startswith(b"<!DOCTYPE html>")
    standin.faults[:] = [Fault("/cdn/", body="pointer")]
    assert get(file_url(standin, LFS)).body.startswith(b"version https://git-lfs")
    assert get(file_url(standin, LFS)).body == serve.tiny_repo().files[LFS].pointer


def raw(url):
    """Everything that comes over the connection until the server closes it, and the stated length."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=10) as connection:
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        data = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line.split()[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return length, body


def test_a_cut_and_a_wrong_length(standin):
    size = len(tiny_model.files()[LFS])
    url = f"{standin.cdn_url}/cdn/{DIGESTS[LFS]}"
    standin.faults[:] = [Fault("/cdn/", cut=1000)]
    length, body = raw(url)
    assert (length, len(body)) == (size, 1000)
    standin.faults[:] = [Fault("/cdn/", length=50)]
    length, body = raw(url)
    assert (length, len(body)) == (size + 50, size)


def test_slow_and_circular(standin):
    standin.faults[:] = [Fault("config.json", delay=0.2, rate=10_000)]
    begin = time.monotonic()
    assert get(file_url(standin, PLAIN)).body == tiny_model.files()[PLAIN]
    assert time.monotonic() - begin > 0.25
    standin.faults[:] = [Fault("/resolve/", loop=True)]
    answer = get(file_url(standin, PLAIN), follow=False)
    assert answer.status == 302
    assert file_url(standin, PLAIN).endswith(answer.headers["Location"])


# --- git and the share -----------------------------------------------------------------------------------------------


def git(*args, cwd):
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1", "no_proxy": "*"}
    done = subprocess.run(["git", *args], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_pinned_commit_is_fetched_by_its_id(standin, tmp_path):
    git("init", "-q", cwd=tmp_path)
    git("fetch", "-q", "--depth", "1", standin.source_url, standin.source_version, cwd=tmp_path)
    git("checkout", "-q", standin.source_version, cwd=tmp_path)
    assert git("rev-list", "--count", "HEAD", cwd=tmp_path).strip() == "1"
    assert (tmp_path / "web_demo.py").read_bytes() == (source_repo.FOLDER / "web_demo.py").read_bytes()
    git("fsck", "--strict", cwd=tmp_path)


def test_a_clone_has_more_than_the_pinned_commit(standin, tmp_path):
    git("clone", "-q", standin.source_url, "clone", cwd=tmp_path)
    log = git("log", "--format=%H", cwd=tmp_path / "clone").split()
    assert (len(log), log[1]) == (3, standin.source_version)


def test_the_share(standin):
    base = f"{standin.url}/api/v2.1/share-links/{serve.SHARE}/dirents/"
    root = json.loads(get(base + "?path=%2F").body)["dirent_list"]
    assert [(e["is_dir"], e["folder_path"]) for e in root] == [(True, "/chatglm2-tiny-int4/")]
    entries = json.loads(get(base + "?path=%2Fchatglm2-tiny-int4").body)["dirent_list"]
    assert {e["file_name"]: e["size"] for e in entries} == {n: len(d) for n, d in tiny_model.files().items()}
    for entry in entries:
        url = f"{standin.url}/d/{serve.SHARE}/files/?p={entry['file_path'].replace('/', '%2F')}"
        assert get(url + "&dl=1").body == tiny_model.files()[entry["file_name"]]
        assert get(url).body == serve.HTML_PAGE
    assert get(url + "&dl=1", {"Range": "bytes=3-"}).status == 206
    assert get(base + "?path=%2Fnone").status == 404


def test_modelscope(standin):
    base = f"{standin.url}/api/v1/models/{standin.model_repo}/repo"
    listed = json.loads(get(f"{base}/files?Revision=master&Recursive=true").body)["Data"]["Files"]
    digests = {e["Path"]: (e["Size"], e["Sha256"]) for e in listed if e["Type"] == "blob"}
    assert digests == {n: (len(d), hashlib.sha256(d).hexdigest()) for n, d in tiny_model.files().items()}
    for name, data in tiny_model.files().items():
        assert get(f"{base}?Revision=master&FilePath={name}").body == data
        assert get(f"{base}?Revision=master&FilePath={name}", {"Range": "bytes=3-"}).status == 206
    assert get(f"{base}?Revision=main&FilePath={PLAIN}").status == 404
    assert get(f"{standin.url}/api/v1/models/no/such/repo/files?Revision=master").status == 404


# --- in the background -----------------------------------------------------------------------------------------------


def run(*args):
    return subprocess.run([sys.executable, serve.__file__, *args], capture_output=True, text=True, timeout=60)


def test_the_daemon_starts_once_and_stops(tmp_path):
    state = tmp_path / "state.json"
    args = ["--daemon", "--state", str(state), "--port", "0", "--idle", "60", "--lifetime", "60"]
    try:
        first, second = run(*args), run(*args)
        assert first.returncode == 0, first.stderr
        assert first.stdout == second.stdout
        assert get(first.stdout.strip() + "/_standin/health").status == 200
        assert state.stat().st_mode & 0o777 == 0o600
        assert get(first.stdout.strip() + "/_standin/stop?nonce=wrong", method="POST", data=b"").status == 404
    finally:
        assert run("--stop", "--state", str(state)).stdout == "stopped\n"
    assert not state.exists()
    assert run("--stop", "--state", str(state)).stdout == "nothing to stop\n"


def test_the_daemon_ends_by_itself(tmp_path):
    state = tmp_path / "state.json"
    url = run("--daemon", "--state", str(state), "--port", "0", "--idle", "0.5", "--lifetime", "60").stdout.strip()
    for _ in range(100):
        if not state.exists():
            break
        time.sleep(0.1)
    with pytest.raises(urllib.error.URLError):
        get(url + "/_standin/health")


def test_a_busy_port_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--daemon", "--state", str(tmp_path / "state.json"), "--port", str(port))
    assert done.returncode == 1
    assert f"127.0.0.1:{port} or the port after it cannot be used" in done.stderr
    assert "choose another --port" in done.stderr
    offered = re.search(r"-e chatglm_standins_port=(\d+)$", done.stderr.strip())
    assert offered, "the demo's setting is named, with a port that is free"
    settings = (ROOT / "inventory/demo/group_vars/chatglm.yml").read_text()
    assert settings.count("{{ chatglm_standins_port }}") == settings.count("127.0.0.1:") > 1, "all follow the setting"
    state = tmp_path / "other.json"
    assert offered[1] in run("--daemon", "--state", str(state), "--port", offered[1], "--idle", "1").stdout
    run("--stop", "--state", str(state))
