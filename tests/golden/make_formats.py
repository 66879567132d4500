# SPDX-License-Identifier: BSD-3-Clause
"""Writes tests/golden/formats/<name>.bin: random blocks and what the gguf package decodes them to.

A file is the raw bytes of `count` blocks followed by the float32 values, little-endian; the sizes
follow from the format. Run with numpy and gguf installed: python make_formats.py
"""

import pathlib

import gguf
import numpy as np

FORMATS = {
    "f16": [],
    "bf16": [],
    "q8_0": [0],
    "q4_0": [0],
    "q4_1": [0, 2],
    "q5_0": [0],
    "q5_1": [0, 2],
    "q4_k": [0, 2],
    "q5_k": [0, 2],
    "q6_k": [208],
}  # name: byte offsets of a block's binary16 scales

# Zeros, smallest and largest subnormal, smallest normal, one, largest, and their negatives.
EDGES = [0x0000, 0x0001, 0x03FF, 0x0400, 0x3C00, 0x7BFF]
EDGES += [0x8000, 0x8001, 0x83FF, 0x8400, 0xBC00, 0xFBFF]


def blocks(name: str, scales: list[int], rng: np.random.Generator) -> np.ndarray:
    _, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name.upper()]]
    count = 12 + len(EDGES) * max(1, len(scales)) if scales else 512
    data = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for which, offset in enumerate(scales):
        # Random finite scales first, then each edge in each scale in turn.
        halves = rng.integers(0, 0x7C00, count, dtype=np.uint16)
        halves |= rng.integers(0, 2, count, dtype=np.uint16) << 15
        first = 12 + which * len(EDGES)
        halves[first : first + len(EDGES)] = EDGES
        data[:, offset : offset + 2] = halves.astype("<u2").view(np.uint8).reshape(count, 2)
    if not scales:
        # Infinities and NaNs of bfloat16, then of binary16.
        special = [0x7F80, 0xFF80, 0x7FC0, 0xFFC1, 0x7F81, 0x7F7F]
        special += [0x7C00, 0xFC00, 0x7E00, 0xFE01, 0x7C01, *EDGES]
        data[: len(special)] = np.array(special, "<u2").view(np.uint8).reshape(-1, 2)
    return data


def main() -> None:
    folder = pathlib.Path(__file__).parent / "formats"
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    for name, scales in FORMATS.items():
        data = blocks(name, scales, rng)
        values = gguf.quants.dequantize(data, gguf.GGMLQuantizationType[name.upper()])
        (folder / f"{name}.bin").write_bytes(data.tobytes() + values.astype("<f4").tobytes())


if __name__ == "__main__":
    main()
