"""The imports of a checkpoint's pickle, found without unpickling it. The samples are made here."""

import collections
import io
import os
import pickle
import zipfile

import pytest
from ansible.module_utils.chatglm.core.failure import Failure
from ansible.module_utils.chatglm.weights.pickle_imports import (
    WEIGHTS_ONLY,
    checkpoint_globals,
    is_pickle,
    refuse_imports,
)

# What torch.save writes for a state dict of one int8 and one fp16 tensor, as protocol 2 text (invented, shortened).
WEIGHTS = (
    b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00wq\x02ctorch._utils\n_rebuild_tensor_v2\nq\x03"
    b"((X\x07\x00\x00\x00storageq\x04ctorch\nCharStorage\nq\x05X\x01\x00\x00\x000q\x06X\x03\x00\x00\x00cpuq\x07"
    b"K\x04tq\x08QK\x00K\x04\x85q\tK\x01\x85q\n\x89h\x00)Rq\x0btq\x0cRq\rs."
)


class Evil:
    def __reduce__(self):
        return (os.system, ("false",))


def archive(path, data, name="archive/data.pkl", **more):
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(name, data)
        made.writestr("archive/data/0", b"\0" * 8)
        for other, content in more.items():
            made.writestr(other, content)
    return path


def test_weights(tmp_path):
    found = refuse_imports(archive(tmp_path / "w.bin", WEIGHTS), WEIGHTS_ONLY)
    assert found == ["collections.OrderedDict", "torch.CharStorage", "torch._utils._rebuild_tensor_v2"]


def test_legacy_layout(tmp_path):
    parts = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    (tmp_path / "w.bin").write_bytes(b"".join(parts) + WEIGHTS + pickle.dumps(["0"], 2) + os.urandom(100))
    assert "torch.CharStorage" in checkpoint_globals(tmp_path / "w.bin")
    (tmp_path / "w.bin").write_bytes(b"".join(parts) + pickle.dumps(Evil(), 2) + pickle.dumps(["0"], 2))
    with pytest.raises(Failure, match=r"would import posix\.system"):
        refuse_imports(tmp_path / "w.bin", WEIGHTS_ONLY)


@pytest.mark.parametrize("protocol", range(6))
def test_evil_at_every_protocol(tmp_path, protocol):
    path = archive(tmp_path / "w.bin", pickle.dumps({"weights": Evil()}, protocol))
    expected = (
        r"Found: w\.bin would import posix\.system when it is loaded\. "
        r"Expected: a checkpoint that imports nothing but collections\.OrderedDict, .*\. To do: take the weights"
    )
    with pytest.raises(Failure, match=expected):
        refuse_imports(path, WEIGHTS_ONLY)


@pytest.mark.parametrize("protocol", range(6))
def test_allowed_at_every_protocol(tmp_path, protocol):
    path = archive(
        tmp_path / "w.bin", pickle.dumps([collections.OrderedDict()] * 3 + [collections.OrderedDict()], protocol)
    )
    assert checkpoint_globals(path) == {"collections.OrderedDict"}


UNKNOWN = "(a name made up while unpickling)"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93.", "os.system"),
        # The name and the module from the memo.
        (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94000h\x00h\x01\x93.", "os.system"),
        # The memo's slot rewritten by number: the last one counts.
        (b"\x80\x04\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x8c\x02osq\x000h\x00h\x01\x93.", "os.OrderedDict"),
        # Built on the way (by DUP here): not followed, so refused.
        (b"\x80\x04\x8c\x02os2\x93.", UNKNOWN),
        (b"\x80\x04(\x8c\x02os\x8c\x06systeml\x93.", UNKNOWN),
        (b"\x80\x04\x93.", UNKNOWN),
        (b"(ios\nsystem\n.", "os.system"),
        (b"\x80\x02\x82\x05.", "(extension code 5)"),
    ],
)
def test_ways_to_name_a_global(tmp_path, code, found):
    assert checkpoint_globals(archive(tmp_path / "w.bin", code)) == {found}


def test_allow_list_is_a_parameter(tmp_path):
    path = archive(tmp_path / "w.bin", b"ctorch\nFloatStorage\n.")
    assert refuse_imports(path, ["torch.FloatStorage"]) == ["torch.FloatStorage"]
    with pytest.raises(Failure, match=r"m\.bin would import torch\.FloatStorage"):
        refuse_imports(path, WEIGHTS_ONLY, "m.bin")


def test_a_further_pickle_counts(tmp_path):
    path = archive(tmp_path / "w.bin", WEIGHTS, **{"archive/constants.pkl": pickle.dumps(Evil())})
    assert "posix.system" in checkpoint_globals(path)


def doubled():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("a/data.pkl", pickle.dumps(Evil()))
        made.writestr("A/data.pkl", WEIGHTS)
    return stream.getvalue()


def whole():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("a/data.pkl", WEIGHTS)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "cannot be read as one"),
        (b"version https://git-lfs.github.com/spec/v1\n", "cannot be read as one"),
        (b"\0" * 1000, "cannot be read as one"),
        (whole()[:-10], "cannot be read as one"),
        (doubled(), "is an archive with two members of one name"),
        (b"PK\x03\x04" + whole(), "is an archive with other bytes before it"),
        (whole().replace(b"data.pkl", b"tada.pkl"), "is an archive without data.pkl"),
    ],
)
def test_no_checkpoint(tmp_path, data, text):
    (tmp_path / "w.bin").write_bytes(data)
    with pytest.raises(Failure, match=text):
        checkpoint_globals(tmp_path / "w.bin")


def test_which_files_are_pickles():
    assert is_pickle("pytorch_model-00001-of-00007.bin")
    assert not is_pickle("tokenizer.model")
