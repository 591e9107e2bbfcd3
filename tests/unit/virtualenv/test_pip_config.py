"""The host's pip configuration, by pip's rules of precedence."""

import pytest
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.virtualenv import pip_config

WEAK, STRONG = "/etc/pip.conf", "/home/me/.config/pip/pip.conf"


def merge(*texts, **environment):
    return pip_config.merge(list(texts), environment, "/home/me")


@pytest.mark.parametrize(
    ("texts", "environment", "index"),
    [
        ([], {}, ""),
        ([(WEAK, "[global]\nindex-url = https://one/")], {}, "https://one/"),
        ([(WEAK, "[global]\nindex-url = one"), (STRONG, "[global]\nindex-url = two")], {}, "two"),
        # The section weighs more than the file.
        ([(WEAK, "[install]\nindex-url = one"), (STRONG, "[global]\nindex-url = two")], {}, "one"),
        ([(WEAK, "[install]\nindex-url = one")], {"PIP_INDEX_URL": "three"}, "three"),
        ([(WEAK, "[install]\nindex_url = one")], {"PIP_INDEX_URL": ""}, "one"),
        # An empty value hides the same key of a weaker file, and is then passed over.
        ([(WEAK, "[global]\nindex-url = one"), (STRONG, "[global]\nindex-url =")], {}, ""),
        ([(WEAK, "[download]\nindex-url = one")], {}, ""),
    ],
)
def test_precedence(texts, environment, index):
    assert merge(*texts, **environment).index_url == index


def test_lists_booleans_and_homes():
    found = merge(
        (WEAK, "[global]\nfind-links =\n    /srv/wheels\n    ~/more\nno-index = yes\ncert = ~/ca.pem"),
        PIP_EXTRA_INDEX_URL="https://a/ https://b/",
        PIP_TRUSTED_HOST="a",
    )
    assert found.find_links == ("/srv/wheels", "/home/me/more")
    assert found.no_index
    assert found.cert == "/home/me/ca.pem"
    assert found.extra_index_urls == ("https://a/", "https://b/")
    assert found.trusted_hosts == ("a",)
    assert found.origins["find-links"] == WEAK
    assert found.origins["extra-index-url"] == "PIP_EXTRA_INDEX_URL"


def test_a_percent_sign_is_no_interpolation():
    assert merge((WEAK, "[global]\nindex-url = https://me:a%40b@host/")).index_url == "https://me:a%40b@host/"


def test_a_broken_file_is_named():
    with pytest.raises(Failure, match=r"/etc/pip\.conf.*cannot be read"):
        merge((WEAK, "index-url = no section\n"))


def test_files_from_weak_to_strong():
    assert pip_config.config_files({}, "/home/me") == [
        "/etc/xdg/pip/pip.conf",
        "/etc/pip.conf",
        "/home/me/.pip/pip.conf",
        "/home/me/.config/pip/pip.conf",
    ]


def test_pip_config_file_replaces_the_users_own(tmp_path):
    own = tmp_path / "pip.conf"
    own.touch()
    files = pip_config.config_files({"PIP_CONFIG_FILE": str(own)}, "/home/me")
    assert files == ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", str(own)]
    assert pip_config.config_files({"PIP_CONFIG_FILE": "/dev/null"}, "/home/me") == []


def test_read_passes_over_what_is_not_there(tmp_path):
    folder = tmp_path / ".config" / "pip"
    folder.mkdir(parents=True)
    (folder / "pip.conf").write_text("[global]\nproxy = http://proxy:3128\n")
    environment = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
    assert pip_config.read(environment).proxy == "http://proxy:3128"
