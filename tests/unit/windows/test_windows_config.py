"""The texts for Windows: merged, not replaced. Samples are invented after Microsoft's description of the two files."""

import codecs

import pytest
from ansible.module_utils.chatglm.windows import windows_config as config

GB = config.GB


def merge(data, values, section="wsl2", newline="\r\n"):
    return config.merged(data, section, values, newline)


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GB", 8 * GB), ("512MB", GB // 2), (" 8 gb ", 8 * GB), ("4G", 4 * GB), ("1073741824", GB), ("0", 0),
     ("", None), ("8 Gigabyte", None), ("-1", None), ("50%", None), ("8GB # half", None)],
)  # fmt: skip
def test_sizes_as_wsl_writes_them(text, size):
    assert config.parse_size(text) == size


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"[wsl2]\r\nmemory=6GB\r\n"),
        (b"[wsl2]\r\nmemory=2GB\r\n", b"[wsl2]\r\nmemory=6GB\r\n"),
        (b"[wsl2]\nMemory = 2GB  \nswap=0\n", b"[wsl2]\nMemory = 6GB  \nswap=0\n"),
        (b"[wsl2]", b"[wsl2]\r\nmemory=6GB\r\n"),
        (b"# mine\r\n[WSL2]\r\n; memory=1GB\r\n\r\n[experimental]\r\nx=1",
         b"# mine\r\n[WSL2]\r\n; memory=1GB\r\nmemory=6GB\r\n\r\n[experimental]\r\nx=1"),
        (b"[experimental]\nmemory=2GB", b"[experimental]\nmemory=2GB\n\n[wsl2]\nmemory=6GB\n"),
        (b"[wsl2]\nmemory=1GB\nmemory=2GB\n", b"[wsl2]\nmemory=1GB\nmemory=6GB\n"),
        (b"[wsl2]\nmemory=\n", b"[wsl2]\nmemory=6GB\n"),
        (codecs.BOM_UTF8 + "# 我的\r\n[wsl2]\r\n".encode(),
         codecs.BOM_UTF8 + "# 我的\r\n[wsl2]\r\nmemory=6GB\r\n".encode()),
        (codecs.BOM_UTF16_LE + "[wsl2]\r\n".encode("utf-16-le"),
         codecs.BOM_UTF16_LE + "[wsl2]\r\nmemory=6GB\r\n".encode("utf-16-le")),
    ],
)  # fmt: skip
def test_a_value_is_merged_and_all_else_stays(before, after):
    assert merge(before, {"memory": "6GB"}) == after
    assert merge(after, {"memory": "6GB"}) == after
    assert config.get(after, "wsl2", "memory") == "6GB"


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x80abc", b"[wsl2]\n\xe9=1"])
def test_what_is_no_text_is_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011 - its subclasses, by what is wrong
        merge(data, {"memory": "6GB"})


@pytest.mark.parametrize(
    ("text", "ram", "needed", "values", "notes"),
    [
        # WSL takes half: 8 of 16 GB is enough for 6.
        ("", 16, 6, {}, []),
        ("", 8, 6, {"swap": "2GB"}, ["swap"]),
        ("", 12, 8, {"memory": "8GB"}, []),
        ("", 8, 12, {"swap": "8GB"}, ["swap"]),
        ("", 4, 6, {"swap": "4GB"}, ["swap"]),
        ("[wsl2]\nmemory=2GB\n", 16, 6, {"memory": "6GB"}, ["raised"]),
        ("[wsl2]\nmemory=2GB\nswap=0\n", 8, 6, {"memory": "4GB", "swap": "2GB"}, ["swap", "raised", "raised"]),
        # Theirs is larger than what we would take, and stays.
        ("[wsl2]\nmemory=7GB\nswap=0\n", 8, 6, {}, []),
        ("[wsl2]\nmemory=7GB\nswap=0\n", 8, 9, {"swap": "2GB"}, ["swap", "raised"]),
        ("[wsl2]\nmemory=half\n", 8, 6, {}, ["unread"]),
        ("", 0, 6, {"swap": "6GB"}, ["ram_unknown"]),
        ("[wsl2]\nswap=8GB\n", 0, 6, {}, ["ram_unknown"]),
    ],
)
def test_memory_is_raised_as_far_as_windows_can_spare_it(text, ram, needed, values, notes):
    plan = config.plan_memory(text.encode(), ram * GB, needed * GB)
    assert (plan.values, [code for code, _ in plan.notes]) == (values, notes)
    after = merge(text.encode(), plan.values)
    for name in values:
        before = config.parse_size(config.get(text.encode(), "wsl2", name) or "0") or 0
        assert config.parse_size(config.get(after, "wsl2", name)) >= before
    if ram:
        assert config.plan_memory(after, ram * GB, needed * GB).values == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"[boot]\nsystemd=true\n"),
        (b"[boot]\r\nsystemd=false\r\n", b"[boot]\nsystemd=true\n"),
        (b"[boot]\nsystemd = true\n", b"[boot]\nsystemd = true\n"),
        (b"[boot]\r\nsystemd=true\r\n", b"[boot]\nsystemd=true\n"),
        (b"[network]\nhostname=x\n\n[boot]\ncommand=service x start # mine\n",
         b"[network]\nhostname=x\n\n[boot]\ncommand=service x start # mine\nsystemd=true\n"),
        (codecs.BOM_UTF8 + b"[boot]\n", b"[boot]\nsystemd=true\n"),
    ],
)  # fmt: skip
def test_systemd_is_switched_on_with_line_ends_of_linux(before, after):
    assert config.plan_systemd(before) == after
    assert config.plan_systemd(after) == after


def test_a_shortcut_is_known_again_and_another_is_not():
    made = config.shortcut("http://127.0.0.1:7860")
    assert made == b"[InternetShortcut]\r\nURL=http://127.0.0.1:7860\r\n"
    assert config.is_shortcut(made)
    assert config.is_shortcut(config.shortcut("http://[::1]:7861"))
    assert not config.is_shortcut(made + b"HotKey=1\r\n")
    assert not config.is_shortcut(b"")
