"""A card, and the kernels of int4.cu on it, through libcuda by ctypes: without torch, and beside it.

libcuda is the driver's own library. Torch's memory, streams and context are used as they are: the context is the
device's primary one.
"""

from __future__ import annotations

import ctypes
from typing import Any

from .kept import UnavailableError

MOST_ROWS = 8
THREADS = 128
OUTPUTS = {1: 2, 2: 4, 4: 4, 8: 4}
"""Numbers of each row that a warp computes, by a kernel's most rows: the second argument of KERNEL in int4.cu."""

MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


class Card:
    """A device of libcuda.

    Attributes:
        name: as the driver says it.
        capability: compute capability, major and minor.
        driver: the CUDA version that the driver supports, such as 12080.

    Raises:
        UnavailableError: no libcuda, or no such device.

    """

    def __init__(self, ordinal: int = 0) -> None:
        """Open a device, by its number among the visible ones."""
        try:
            self.library = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise UnavailableError(f"libcuda.so.1 does not load: {error}") from None
        driver, major, minor, name = ctypes.c_int(), ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(100)
        self.device = ctypes.c_int()
        self.context = ctypes.c_void_p()
        self.call("cuInit", 0)
        self.call("cuDriverGetVersion", ctypes.byref(driver))
        self.call("cuDeviceGet", ctypes.byref(self.device), ordinal)
        self.call("cuDeviceGetName", name, len(name), self.device)
        self.call("cuDeviceGetAttribute", ctypes.byref(major), MAJOR, self.device)
        self.call("cuDeviceGetAttribute", ctypes.byref(minor), MINOR, self.device)
        self.name, self.driver = name.value.decode(errors="replace"), driver.value
        self.capability = (major.value, minor.value)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of libcuda.

        Raises:
            UnavailableError: the error that it gives, by its name.

        """
        if status := getattr(self.library, name)(*arguments):
            text = ctypes.c_char_p()
            self.library.cuGetErrorName(status, ctypes.byref(text))
            raise UnavailableError(f"{name}: {(text.value or b'error').decode()} ({status})")

    def enter(self) -> None:
        """Make the device's primary context, torch's, that of this thread."""
        if not self.context:
            self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), self.device)
        self.call("cuCtxSetCurrent", self.context)


class Kernel:
    """The kernels of int4.cu, loaded on a card.

    Raises:
        UnavailableError: the driver does not take the code.

    """

    def __init__(self, card: Card, code: bytes) -> None:
        """Load ``code``, a cubin for this card."""
        self.card = card
        card.enter()
        module = ctypes.c_void_p()
        card.call("cuModuleLoadData", ctypes.byref(module), code)
        self.functions = {}
        for rows in OUTPUTS:
            self.functions[rows] = ctypes.c_void_p()
            card.call("cuModuleGetFunction", ctypes.byref(self.functions[rows]), module, f"int4_rows_{rows}".encode())

    def launch(
        self,
        pointers: tuple[int | None, int | None, int | None, int | None, int | None],
        sizes: tuple[int, int, int],
        stream: int = 0,
    ) -> None:
        """Queue output = input W^T + bias on a stream; returns before it is computed.

        Args:
            pointers: on the card: weight int8 [outputs, columns / 2], scale fp16 [outputs], bias the same or None,
                input fp16 [rows, columns], output fp16 [rows, outputs].
            sizes: columns (a multiple of 8), outputs, rows (1 to 8).
            stream: handle of a CUDA stream.

        Raises:
            UnavailableError: the launch was refused.

        """
        most = next(number for number in OUTPUTS if sizes[2] <= number)
        grid = -(-sizes[1] // (THREADS // 32 * OUTPUTS[most]))
        held = [*map(ctypes.c_void_p, pointers), *map(ctypes.c_int, sizes)]
        given = (ctypes.c_void_p * len(held))(*map(ctypes.addressof, held))
        self.card.enter()
        queue = ctypes.c_void_p(stream)
        self.card.call("cuLaunchKernel", self.functions[most], grid, 1, 1, THREADS, 1, 1, 0, queue, given, None)
