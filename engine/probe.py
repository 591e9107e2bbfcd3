"""Compile, load and launch int4.cu in a process of its own, on numbers whose products are known.

What can crash crashes here, and not in the chat. No torch: it takes a second. cuda.py starts it, and believes a card's
record of it later.
"""

from __future__ import annotations

import ctypes
import json
import random
import struct
import sys
from pathlib import Path

from . import driver, kept, nvrtc

COLUMNS, OUTPUTS, SCALE = 856, 67, 0.25


def expected(packed: bytes, given: list[list[int]]) -> list[list[float]]:
    """Return the products by the packing's definition; whole numbers times SCALE, exact in fp16."""
    nibbles = [n - 16 if n > 7 else n for byte in packed for n in (byte >> 4, byte & 15)]
    rows = [nibbles[start : start + COLUMNS] for start in range(0, len(nibbles), COLUMNS)]
    return [
        [sum(map(int.__mul__, row, inputs)) * SCALE + number % 3 for number, row in enumerate(rows)] for inputs in given
    ]


class Memory:
    """Bytes on the card."""

    def __init__(self, card: driver.Card, content: bytes) -> None:
        """Copy ``content`` there."""
        self.card, self.size, self.address = card, len(content), ctypes.c_void_p()
        card.call("cuMemAlloc_v2", ctypes.byref(self.address), ctypes.c_size_t(self.size))
        card.call("cuMemcpyHtoD_v2", self.address, content, ctypes.c_size_t(self.size))

    def read(self) -> bytes:
        """Return what is there now."""
        buffer = ctypes.create_string_buffer(self.size)
        self.card.call("cuMemcpyDtoH_v2", buffer, self.address, ctypes.c_size_t(self.size))
        return buffer.raw


def try_out(kernel: driver.Kernel) -> None:
    """Launch every kernel once, each with all of its rows and with one less.

    Raises:
        UnavailableError: a launch fails, or a number is not the expected one.

    """
    chance = random.Random(1)  # noqa: S311
    packed = chance.randbytes(OUTPUTS * COLUMNS // 2)
    given = [[chance.choice((-1, 0, 1)) for _ in range(COLUMNS)] for _ in range(driver.MOST_ROWS)]
    right = expected(packed, given)
    weight = Memory(kernel.card, packed)
    scale = Memory(kernel.card, struct.pack(f"{OUTPUTS}e", *[SCALE] * OUTPUTS))
    bias = Memory(kernel.card, struct.pack(f"{OUTPUTS}e", *(number % 3 for number in range(OUTPUTS))))
    inputs = Memory(kernel.card, struct.pack(f"{len(given) * COLUMNS}e", *(one for row in given for one in row)))
    for rows in range(1, driver.MOST_ROWS + 1):
        output = Memory(kernel.card, b"\xff" * (2 * rows * OUTPUTS))  # not a number
        pointers = tuple(memory.address.value for memory in (weight, scale, bias, inputs, output))
        kernel.launch(pointers, (COLUMNS, OUTPUTS, rows))  # type: ignore[arg-type]
        kernel.card.call("cuCtxSynchronize")
        seen = struct.unpack(f"{rows * OUTPUTS}e", output.read())
        if list(seen) != [number for row in right[:rows] for number in row]:
            raise kept.UnavailableError(f"the int4 kernel computes wrongly: {rows} rows on {kernel.card.name}")


def main(ordinal: str, nvidia: str, folder: str) -> None:
    """Print ``{"error": TEXT}``, empty when all is well; the cubin is then in ``folder``."""
    error = ""
    try:
        card = driver.Card(int(ordinal))
        card.enter()
        code = nvrtc.cubin(nvrtc.Compiler(Path(nvidia)), card.capability, Path(folder))
        try_out(driver.Kernel(card, code))
    except (kept.UnavailableError, OSError) as reason:
        error = str(reason)
    sys.stdout.write(json.dumps({"error": error}) + "\n")
