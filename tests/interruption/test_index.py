"""A package index that fails in every way a network knows: told for what it is, nothing trusted, the next run builds.

The weights' sources have the same in tests/unit/weights/, git in tests/unit/source/.
"""

import re
import socket
import struct
import time

import chain
import env_host
import pytest

REACH = "a package source that cannot be reached"
OTHER = "a package whose content differs from the lock"


@pytest.fixture
def site(tmp_path):
    """A host whose packages come from an index on loopback."""
    host = env_host.EnvHost(tmp_path)
    for path in list(host.wheels.iterdir()):
        folder = tmp_path / "index" / "simple" / path.name.partition("-")[0]
        folder.mkdir(parents=True)
        path.rename(folder / path.name)
    del host.environ["PIP_FIND_LINKS"], host.environ["PIP_NO_INDEX"]
    host.environ["NO_PROXY"] = "127.0.0.1"
    host.server = chain.Files(tmp_path / "index")
    host.index = f"{host.server.url}/simple"
    yield host
    host.server.shutdown()
    host.server.server_close()


def reset(handler):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def half(handler):
    """The length of the whole file, and then the connection ends."""
    data = (handler.server.folder / handler.path.strip("/")).read_bytes()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])


def flipped(handler):
    data = bytearray((handler.server.folder / handler.path.strip("/")).read_bytes())
    data[len(data) // 2] ^= 1
    handler.give(bytes(data))


def loop(handler):
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def page(handler):
    handler.give(b"<!DOCTYPE html><html>Log in to this network.</html>")


def status(number):
    return lambda handler: handler.give(b"no", number)


@pytest.mark.parametrize(
    ("where", "fault", "found"),
    [
        (r"/$", page, "a locked package that no source has"),
        (r"/$", status(403), "an index that refuses access"),
        (r"/$", status(503), REACH),
        (r"/$", reset, REACH),
        (r"/$", loop, "an address that answers, but not as a package index"),
        (r"gamma.*whl$", page, OTHER),
        (r"gamma.*whl$", status(403), "an index that refuses access"),
        (r"gamma.*whl$", status(429), REACH),
        (r"gamma.*whl$", status(500), REACH),
        (r"gamma.*whl$", reset, REACH),
        (r"gamma.*whl$", half, REACH),
        (r"gamma.*whl$", flipped, OTHER),
    ],
)
def test_a_bad_index_is_told_and_the_next_run_builds(site, where, fault, found):
    site.server.behaviour = lambda handler, path: bool(re.search(where, path)) and (fault(handler), True)[1]
    result = site.run(index_url=site.index)
    assert result.get("failed"), result
    assert found in result["msg"], result["msg"]
    assert "virtualenv_index_url" in result["msg"]
    assert not site.path.exists()
    site.server.behaviour = None
    assert site.good(index_url=site.index)["action"] == "create"
    assert site.good(index_url=site.index)["action"] == "none"


@pytest.mark.parametrize("where", [r"/$", r"gamma.*whl$"])
def test_a_silent_index_does_not_hang(site, where):
    site.server.behaviour = lambda handler, path: bool(re.search(where, path)) and (time.sleep(30), True)[1]
    began = time.monotonic()
    result = site.run(index_url=site.index, timeout=3)
    assert time.monotonic() - began < 20
    assert "uv still at work after 3 s while installing 3 packages" in result["msg"]
    assert "virtualenv_timeout" in result["msg"]
    site.server.behaviour = None
    assert site.good(index_url=site.index)["action"] == "create"


def test_a_dead_name_service_is_told(site):
    result = site.run(index_url="http://index.invalid/simple")
    assert REACH in result["msg"]
    assert "index.invalid" in result["msg"]


def test_a_repair_that_finds_no_network_leaves_what_is_good(site):
    assert site.good(index_url=site.index)["action"] == "create"
    (site.site / "gamma" / "data.txt").write_text("damaged")
    site.server.behaviour = lambda handler, _path: (reset(handler), True)[1]
    assert REACH in site.run(index_url=site.index)["msg"]
    assert (site.site / "alpha" / "data.txt").exists()
    again = site.run(check=True, index_url=site.index)
    assert [line.partition(":")[0] for line in again["reinstall"]] == ["gamma==3.0"]
    site.server.behaviour = None
    assert site.good(index_url=site.index)["action"] == "repair"
    assert (site.site / "gamma" / "data.txt").read_text() != "damaged"
