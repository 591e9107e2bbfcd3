"""Asks the hub about a pinned revision; runs under the virtualenv's Python, which has huggingface_hub.

This source is piped to that Python with a call of :func:`main` appended that holds the request: so the token stands
neither among the arguments nor in the environment. The reply is one line of standard output after :data:`MARK`.

The library knows the hub (addresses, headers, redirects of metadata, gated repositories, its error texts). The bytes
do not go through it: ``snapshot_download`` keeps no digest while writing, so a 3.9 GB file would be read twice, trusts
the size alone on resume, and may keep a second copy in its cache; ``transfer`` does all this at a higher rate
(benchmarks/bench_fetch.py measures it).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import ssl
import sys
import time
from typing import Any

MARK = "chatglm-hub-reply:"
ATTEMPTS = 3


def reply(request: dict[str, Any]) -> dict[str, Any]:
    """Return what the hub says.

    Args:
        request: ``endpoint``, ``repo``, ``revision``, ``token`` (or empty), ``timeout`` (seconds), ``ca_bundle`` (a
            PEM path or empty), ``retry_after`` (the longest wait, seconds), ``locate`` (names of the files whose
            address is asked for; None for all).

    Returns:
        ``commit``, ``files`` (list of path, size, and sha256 or git_blob_id) and ``located`` (per asked name:
        ``url``, ``size``, ``etag``, ``commit``, or ``error``); or only ``error``: ``kind`` and ``text``.

    """
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError as error:
        return {"error": {"kind": "library", "text": f"huggingface_hub cannot be imported: {error}"}}
    _trust(hub, request["ca_bundle"])
    token = request["token"] or False  # False: no token of the user's own is looked up
    endpoint, repo, revision = request["endpoint"], request["repo"], request["revision"]
    timeout = request["timeout"]
    try:
        api = hub.HfApi(endpoint=endpoint, token=token)
        info = _patiently(
            lambda: api.model_info(repo, revision=revision, files_metadata=True, timeout=timeout),
            request["retry_after"],
        )
    except Exception as error:
        return {"error": _error(error, request)}
    files = []
    for sibling in info.siblings or []:
        entry: dict[str, Any] = {"path": sibling.rfilename, "size": sibling.size}
        if sibling.lfs is not None:
            entry["sha256"] = sibling.lfs.sha256
            entry["size"] = sibling.lfs.size
        elif sibling.blob_id:
            entry["git_blob_id"] = sibling.blob_id
        files.append(entry)
    _complete(hub, api, files, request)
    located: dict[str, Any] = {}
    names = [entry["path"] for entry in files] if request["locate"] is None else request["locate"]
    for name in names:
        url = hub.hf_hub_url(repo, name, revision=revision, endpoint=endpoint)
        try:
            data = _patiently(
                lambda url=url: hub.get_hf_file_metadata(url, token=token, timeout=timeout, endpoint=endpoint),
                request["retry_after"],
            )
        except Exception as error:
            located[name] = {"error": _error(error, request)}
            continue
        located[name] = {"url": url, "size": data.size, "etag": data.etag, "commit": data.commit_hash}
    return {"commit": info.sha, "files": files, "located": located}


def _complete(hub: Any, api: Any, files: list[dict[str, Any]], request: dict[str, Any]) -> None:
    """Ask anew for digests that the listing lacks, as that of a mirror does which drops the question for them.

    The tree of the pinned commit names them; else the entity tag of a file that is said to be of that commit. Who
    cannot be asked leaves a digest unknown, and why is noted with the file as ``why``.
    """
    lacking = {entry["path"]: entry for entry in files if not {"sha256", "git_blob_id"} & set(entry)}
    if not lacking:
        return
    repo, revision = request["repo"], request["revision"]
    for question in (
        lambda: api.get_paths_info(repo, list(lacking), revision=revision),
        lambda: list(api.list_repo_tree(repo, recursive=True, revision=revision)),
    ):
        with contextlib.suppress(Exception):  # the next question decides
            for one in _patiently(question, request["retry_after"]) if lacking else ():
                entry = lacking.get(one.path)
                if entry is not None and getattr(one, "blob_id", None):
                    entry["size"] = one.lfs.size if one.lfs else one.size
                    entry["sha256" if one.lfs else "git_blob_id"] = one.lfs.sha256 if one.lfs else one.blob_id
                    del lacking[one.path]
    for name, entry in lacking.items():
        url = hub.hf_hub_url(repo, name, revision=revision, endpoint=request["endpoint"])
        try:
            data = _patiently(
                lambda url=url: hub.get_hf_file_metadata(
                    url, token=request["token"] or False, timeout=request["timeout"], endpoint=request["endpoint"]
                ),
                request["retry_after"],
            )
        except Exception as error:
            entry["why"] = _error(error, request)["text"]
            continue
        tag = data.etag or ""
        algorithm = {40: "git_blob_id", 64: "sha256"}.get(len(tag))
        if data.commit_hash != revision:
            entry["why"] = f"it does not say that the file is of commit {revision}, but {data.commit_hash or 'of none'}"
        elif algorithm is None or data.size is None or not set(tag) <= set("0123456789abcdef"):
            entry["why"] = f"its entity tag {tag[:80] or '(none)'} is no digest"
        else:
            entry[algorithm] = tag
            entry["size"] = data.size


def _trust(hub: Any, ca_bundle: str) -> None:
    """Let requests trust the system's authorities and those of ``ca_bundle``, not only those that certifi brings."""
    if not hasattr(hub, "configure_http_backend"):
        return  # 1.0 and newer (not what the locks hold) build on another client, which reads SSL_CERT_FILE
    requests = importlib.import_module("requests")
    context = ssl.create_default_context()
    if ca_bundle:
        context.load_verify_locations(cafile=ca_bundle)

    class Adapter(requests.adapters.HTTPAdapter):  # type: ignore[misc,name-defined]
        def init_poolmanager(self, *arguments: Any, **named: Any) -> Any:
            return super().init_poolmanager(*arguments, ssl_context=context, **named)

        def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
            return super().proxy_manager_for(*arguments, ssl_context=context, **named)

    def session() -> Any:
        made = requests.Session()
        made.mount("https://", Adapter())
        return made

    hub.configure_http_backend(session)


def _patiently(call: Any, longest: float) -> Any:
    """Return ``call()``; tried again after 429, 5xx and broken connections, as long as the hub asks to wait."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call()
        except Exception as error:
            response = getattr(error, "response", None)
            status = getattr(response, "status_code", 0)
            passing = status in (408, 425, 429) or status >= 500 or (not status and isinstance(error, OSError))
            if attempt == ATTEMPTS or not passing or "SSL" in type(error).__name__:
                raise
            said = str(response.headers.get("Retry-After", "")) if response is not None else ""
            wait = float(said) if said.isdigit() else float(attempt)
            if wait > longest:
                raise
            time.sleep(wait)
    raise AssertionError  # the last attempt returns or raises


def _error(error: Exception, request: dict[str, Any]) -> dict[str, Any]:
    """Return an exception's class, HTTP status and first line; the token is cut out should a library quote it."""
    status = getattr(getattr(error, "response", None), "status_code", 0)
    text = " ".join(str(error).split())[:300] or type(error).__name__
    if request["token"]:
        text = text.replace(request["token"], "***")
    return {"kind": type(error).__name__, "status": status, "text": text}


def main(request: dict[str, Any]) -> None:
    """Print the reply to ``request``."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read when the library is imported
    sys.stdout.write(f"\n{MARK}{json.dumps(reply(request))}\n")
