# SPDX-License-Identifier: BSD-3-Clause
"""Writes tests/golden/formats/<name>.bin: random blocks and what the gguf package decodes them to.

A file is the raw bytes of `count` blocks followed by the float32 values, little-endian; the sizes
follow from the format. 8-bit floats are torch's. Run with numpy, gguf and torch installed:
python make_formats.py
"""

import pathlib

import gguf
import numpy as np
import torch

FORMATS = {
    "f16": [],
    "bf16": [],
    "q8_0": [0],
    "q4_0": [0],
    "q4_1": [0, 2],
    "q5_0": [0],
    "q5_1": [0, 2],
    "q2_k": [80, 82],
    "q3_k": [108],
    "q4_k": [0, 2],
    "q5_k": [0, 2],
    "q6_k": [208],
    "iq4_nl": [0],
    "iq4_xs": [0],
    "iq3_xxs": [0],
    "iq3_s": [0],
    "iq2_xxs": [0],
    "iq2_xs": [0],
    "iq2_s": [0],
    "iq1_s": [0],
    "tq1_0": [52],
    "tq2_0": [64],
}  # name: byte offsets of a block's binary16 scales

# Zeros, smallest and largest subnormal, smallest normal, one, largest, and their negatives.
EDGES = [0x0000, 0x0001, 0x03FF, 0x0400, 0x3C00, 0x7BFF]
EDGES += [0x8000, 0x8001, 0x83FF, 0x8400, 0xBC00, 0xFBFF]


def blocks(
    name: str, scales: list[int], rng: np.random.Generator, least: int = 0
) -> np.ndarray:
    _, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name.upper()]]
    count = max(least, 12 + len(EDGES) * max(1, len(scales))) if scales else 512
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


def finite_halves(count: int, rng: np.random.Generator) -> np.ndarray:
    halves = rng.integers(0, 0x7C00, count, dtype=np.uint16)
    halves |= rng.integers(0, 2, count, dtype=np.uint16) << 15
    halves[: len(EDGES)] = EDGES
    return halves


def of_another_scale(name: str, rng: np.random.Generator) -> np.ndarray:
    """Blocks whose scale is no binary16 in one place."""
    _, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name.upper()]]
    count = {"mxfp4": 256, "nvfp4": 64, "iq1_m": 24}[name]
    data = rng.integers(0, 256, (count, size), dtype=np.uint8)
    if name == "mxfp4":
        data[:, 0] = np.arange(256)  # every exponent
    elif name == "nvfp4":
        data[:, :4] = np.arange(256, dtype=np.uint8).reshape(64, 4)  # every scale
    else:
        # A nibble of the binary16 on top of each of four words, the lowest first.
        halves = finite_halves(count, rng)
        words = data[:, 48:56].copy().view("<u2") & 0x0FFF
        for i in range(4):
            words[:, i] |= ((halves >> (4 * i)) & 0xF).astype(np.uint16) << 12
        data[:, 48:56] = words.view(np.uint8)
    return data


def each_point(name: str, rng: np.random.Generator) -> np.ndarray:
    """As many blocks as it takes to have every point of the format's grid once."""
    kind = gguf.quants._type_traits[gguf.GGMLQuantizationType[name.upper()]]
    points, elements = kind.grid_shape
    a_block = 256 // elements
    count = max(points // a_block, 24)
    data = blocks(name, FORMATS[name], rng, count)
    index = np.resize(rng.permutation(points), (count, a_block))
    if name in ("iq3_xxs", "iq3_s"):
        data[:, 2:66] = index & 0xFF
        if name == "iq3_s":
            data[:, 66:74] = np.packbits(index >> 8, axis=-1, bitorder="little")
    elif name == "iq2_xxs":
        data[:, 2:66].reshape(count, 8, 8)[..., :4] = index.reshape(count, 8, 4)
    elif name == "iq2_xs":
        words = data[:, 2:66].copy().view("<u2") & 0xFE00 | index.astype(np.uint16)
        data[:, 2:66] = words.view(np.uint8)
    elif name == "iq2_s":
        data[:, 2:34] = index & 0xFF
        high = (index >> 8).reshape(count, 8, 4) << np.array([0, 2, 4, 6])
        data[:, 66:74] = high.sum(axis=-1)
    elif name == "iq1_s":
        data[:, 2:34] = index & 0xFF
        high = ((index >> 8).reshape(count, 8, 4) << np.array([0, 3, 6, 9])).sum(axis=-1)
        words = data[:, 34:50].copy().view("<u2") & 0xF000 | high.astype(np.uint16)
        data[:, 34:50] = words.view(np.uint8)
    return data


def float8() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{name: (blocks, values)}: every code; of the scaled format every code under some scale."""
    codes = torch.arange(256, dtype=torch.int32).to(torch.uint8)
    out = {}
    for name, dtype in (("f8_e4m3", torch.float8_e4m3fn), ("f8_e5m2", torch.float8_e5m2)):
        out[name] = (codes.numpy(), codes.view(dtype).to(torch.float32).numpy())
    generator = torch.Generator().manual_seed(8)
    scales = torch.randn(16, 1, generator=generator) * 10.0 ** torch.arange(-8, 8)[:, None]
    values = codes.view(torch.float8_e4m3fn).to(torch.float32).reshape(8, 32).repeat(2, 1)
    blocks = np.concatenate(
        [scales.numpy().astype("<f4").view(np.uint8), codes.reshape(8, 32).repeat(2, 1).numpy()],
        axis=1,
    )
    out["f8_e4m3_scaled"] = (blocks, (values * scales).numpy())
    return out


def main() -> None:
    folder = pathlib.Path(__file__).parent / "formats"
    folder.mkdir(exist_ok=True)
    # The first ten in one sequence, the others each of their own: none changes with another.
    rng = np.random.default_rng(1)
    first = ["f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"]
    rest = [n for n in FORMATS if n not in first] + ["mxfp4", "nvfp4", "iq1_m"]
    for name in first + rest:
        if name not in first:
            rng = np.random.default_rng(list(name.encode()))
        if name not in FORMATS:
            data = of_another_scale(name, rng)
        elif name.startswith("iq") and not name.startswith("iq4"):
            data = each_point(name, rng)
        else:
            data = blocks(name, FORMATS[name], rng)
        values = gguf.quants.dequantize(data, gguf.GGMLQuantizationType[name.upper()])
        (folder / f"{name}.bin").write_bytes(data.tobytes() + values.astype("<f4").tobytes())
    for name, (data, values) in float8().items():
        (folder / f"{name}.bin").write_bytes(data.tobytes() + values.astype("<f4").tobytes())


if __name__ == "__main__":
    main()
