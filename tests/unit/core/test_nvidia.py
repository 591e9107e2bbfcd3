"""What the NVIDIA driver says. nvidia-smi's answers are invented in its CSV format unless a case says otherwise."""

from pathlib import Path

import pytest
from ansible.module_utils.chatglm.core import nvidia

MIB = 1024**2
DATA = Path(__file__).parents[1] / "data" / "host"
LAPTOP = "GPU-1b2c3d4e-0000-1111-2222-333344445555, 6144, 5216, 528.79, 8.6, NVIDIA GeForce RTX 3060 Laptop GPU\n"


def test_parse_smi():
    assert nvidia.parse_smi(LAPTOP) == [
        {
            "uuid": "GPU-1b2c3d4e-0000-1111-2222-333344445555",
            "name": "NVIDIA GeForce RTX 3060 Laptop GPU",
            "memory_total": 6144 * MIB,
            "memory_free": 5216 * MIB,
            "capability": "8.6",
            "driver": "528.79",
        }
    ]


@pytest.mark.parametrize(
    ("text", "total", "free", "capability", "name"),
    [
        ("GPU-1, 6144 MiB, 5216 MiB, 470.1, 6.1, GTX 1060\n", 6144 * MIB, 5216 * MIB, "6.1", "GTX 1060"),
        ("GPU-1, [N/A], [Insufficient Permissions], 550.1, [N/A], Orin, nvgpu\n", None, None, "", "Orin, nvgpu"),
        ("GPU-1, 8192, [Unknown Error], 550.1, 7.5, T4\n", 8192 * MIB, None, "7.5", "T4"),
        (
            "uuid, memory.total, memory.free, driver_version, compute_cap, name\nGPU-1, 1, 1, 5, 7.5, T4",
            MIB,
            MIB,
            "7.5",
            "T4",
        ),
        ("WARNING: infoROM is corrupted at gpu 0000:01:00.0\nGPU-1, 1, 1, 5, 7.5, T4\n", MIB, MIB, "7.5", "T4"),
    ],
)
def test_parse_smi_odd(text, total, free, capability, name):
    (gpu,) = nvidia.parse_smi(text)
    assert (gpu["memory_total"], gpu["memory_free"], gpu["capability"], gpu["name"]) == (total, free, capability, name)


@pytest.mark.parametrize(
    "text", ["", "No devices were found\n", "+-----+\n| NVIDIA-SMI 525.104   Driver Version: 528.79 |\n", "a,b,c\n"]
)
def test_parse_smi_nothing(text):
    assert nvidia.parse_smi(text) == []


def test_parse_smi_old():
    (gpu,) = nvidia.parse_smi("GPU-1, 6144, 5216, 460.89, GeForce GTX 1060\n", nvidia.SMI_FIELDS_OLD)
    assert (gpu["capability"], gpu["driver"], gpu["name"]) == ("", "460.89", "GeForce GTX 1060")
    assert nvidia.smi_lacks_field('Field "compute_cap" is not a valid field to query.')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The texts are those of public reports (faults A3, A4).
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "no_driver"),
        ("NVIDIA-SMI has failed because it couldn\u2019t communicate with the NVIDIA driver.", "no_driver"),
        ("Failed to initialize NVML: GPU access blocked by the operating system", "blocked"),
        ("No devices were found", "no_device"),
        ("Failed to initialize NVML: Driver/library version mismatch", "mismatch"),
        ("Segmentation fault", "other"),
    ],
)
def test_smi_trouble(text, expected):
    assert nvidia.smi_trouble(text) == expected


def test_packages():
    text = (DATA / "dpkg-status.txt").read_text()
    assert nvidia.installed_packages(text) == [
        "libcudart11.0",
        "libnvidia-compute-535",
        "nvidia-cuda-toolkit",
        "nvidia-driver-535",
    ]
    assert nvidia.driver_packages(text) == ["libnvidia-compute-535", "nvidia-driver-535"]
    assert nvidia.driver_packages("") == []


@pytest.mark.parametrize(
    ("name", "driver"),
    [
        ("nvidia-driver", True),
        ("nvidia-driver-570-open", True),
        ("libcuda1", True),
        ("cuda-drivers", True),
        ("nvidia-dkms-550", True),
        ("nvidia-utils-525", True),
        ("libcudart12", False),
        ("cuda-toolkit-12-4", False),
        ("nvidia-container-toolkit", False),
        ("nvidia-cuda-dev", False),
        ("xserver-xorg-video-nouveau", False),
    ],
)
def test_driver_package(name, driver):
    assert bool(nvidia.DRIVER_PACKAGE.fullmatch(name)) is driver


def cuda(**changes):
    return {"uuid": "GPU-1", "name": "A", "memory_total": 6441926656, "capability": "8.6", **changes}


def smi(**changes):
    return {
        "uuid": "GPU-1",
        "name": "A",
        "memory_total": 6 * 1024**3,
        "memory_free": 5 * 1024**3,
        "capability": "8.6",
        "driver": "528.79",
        **changes,
    }


@pytest.mark.parametrize(
    ("first", "second", "frees", "usable"),
    [
        ([cuda()], [smi()], [5 * 1024**3], [True]),
        ([cuda(uuid="")], [smi()], [5 * 1024**3], [True]),  # an old driver without uuid: the only one
        ([cuda(uuid="", name="")], [smi()], [5 * 1024**3], [True]),
        ([cuda()], [], [None], [True]),
        ([], [smi()], [5 * 1024**3], [False]),
        # libcuda's order differs from nvidia-smi's
        ([cuda(), cuda(uuid="GPU-2")], [smi(uuid="GPU-2", memory_free=2), smi(memory_free=1)], [1, 2], [True, True]),
        # two of one name and no uuid: which is which is not known
        (
            [cuda(uuid=""), cuda(uuid="")],
            [smi(uuid=""), smi(uuid="")],
            [None, None],
            [True, True],
        ),
    ],
)
def test_merge_gpus(first, second, frees, usable):
    found = nvidia.merge_gpus(first, second)
    assert [gpu["memory_free"] for gpu in found] == frees
    assert [gpu["usable"] for gpu in found] == usable


@pytest.mark.parametrize(
    ("number", "text"), [(12000, "12.0"), (12080, "12.8"), (11070, "11.7"), (13000, "13.0"), (0, "")]
)
def test_cuda_version(number, text):
    assert nvidia.cuda_version(number) == text
