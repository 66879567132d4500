"""What the workflows start from and the repository does not hold: another quantisation, a lens, a
text. The same to the byte for the test and for tests/golden/make_workflows.py; needs Python alone.
"""

import array
import json
import math
import random
import struct
import zipfile
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
TEXT_BYTES = {"smollm2": 480, "gemma3_270m": 200}  # Gemma's vocabulary is five times as large
LENS_LAYERS = {"smollm2": (12, 24), "gemma3_270m": (6, 14)}
WIDTH = {"smollm2": 576, "gemma3_270m": 640}


def text(name):
    """The beginning of the text whose perplexity the goldens have, in whole words."""
    whole = (GOLDEN / name / "perplexity.txt").read_text(encoding="utf-8")
    return whole[: TEXT_BYTES[name]].rsplit(" ", 1)[0]


# Types of the two models' matrices, by GGUF's number: weights and bytes of a block, and where in it
# stand the low four bits of two weights a byte (of Q8_0: the eight of one).
Q4_1, Q5_0, Q8_0, Q4_K, Q6_K = 3, 6, 8, 12, 14
CODES = {Q4_1: (32, 20, 4, 20), Q5_0: (32, 22, 6, 22), Q8_0: (32, 34, 2, 34),
         Q4_K: (256, 144, 16, 144), Q6_K: (256, 210, 0, 128)}


def even(code):
    """The nearest even code of four bits; of two as near, the multiple of four."""
    return min(2 * round(code / 2), 14)


HALF_OF_NIBBLES = bytes(even(b >> 4) << 4 | even(b & 15) for b in range(256))
HALF_OF_BYTES = bytes(
    max(-128, min(16 * round((b - 256 * (b > 127)) / 16), 112)) & 255 for b in range(256)
)


class Gguf:
    """Places in the bytes of a GGUF file: `tensors` is {name: (type, weights, offset)}."""

    SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def __init__(self, data):
        self.data, self.at = data, 0
        magic, version, tensors, keys = self.take("<4sIQQ")
        assert magic == b"GGUF" and version == 3, (magic, version)
        alignment = 32
        for _ in range(keys):
            key, at = self.string(), self.at
            self.skip(self.take("<I")[0])
            if key == "general.alignment":
                (alignment,) = struct.unpack_from("<I", data, at + 4)
        found = {}
        for _ in range(tensors):
            name, dimensions = self.string(), self.take("<I")[0]
            shape = self.take(f"<{dimensions}Q")
            found[name] = (math.prod(shape), *self.take("<IQ"))
        base = -(-self.at // alignment) * alignment
        self.tensors = {n: (kind, count, base + at) for n, (count, kind, at) in found.items()}

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def string(self):
        (size,) = self.take("<Q")
        self.at += size
        return bytes(self.data[self.at - size : self.at]).decode()

    def skip(self, kind):
        if kind == 8:
            self.string()
        elif kind == 9:
            of, count = self.take("<IQ")
            if of == 8:
                for _ in range(count):
                    self.string()
            else:
                self.at += self.SIZES[of] * count
        else:
            self.at += self.SIZES[kind]


def write_coarser(source, target):
    """The same weights quantised again: the matrices of all layers with about half as many levels,
    every code rounded to an even one (of Q8_0: to a multiple of 16). Formats and scales stay."""
    data = bytearray(Path(source).read_bytes())
    for name, (kind, count, at) in Gguf(data).tensors.items():
        if kind not in CODES or not name.startswith("blk."):
            continue
        table = HALF_OF_BYTES if kind == Q8_0 else HALF_OF_NIBBLES
        weights, size, first, last = CODES[kind]
        end = at + count // weights * size
        for byte in range(first, last):
            data[at + byte : end : size] = data[at + byte : end : size].translate(table)
    Path(target).write_bytes(data)


def lens_maps(name):
    """{layer: J (D·D numbers of binary16, by rows)}: one, and noise half as long as a row of it."""
    draw, width = random.Random(2303), WIDTH[name]
    step = math.sqrt(3.0 / width)
    maps = {}
    for layer in LENS_LAYERS[name]:
        values = [step * (draw.random() - 0.5) for _ in range(width * width)]
        for row in range(width):
            values[row * (width + 1)] += 1.0
        maps[layer] = struct.pack(f"<{width * width}e", *values)
    return maps


class Pickle:
    """The few opcodes that torch.save writes for a dict of tensors (protocol 2)."""

    def __init__(self):
        self.out = bytearray(b"\x80\x02")

    def name(self, module, name):
        self.out += f"c{module}\n{name}\n".encode()

    def add(self, value):
        if isinstance(value, dict):
            self.out += b"}("
            for item in value.items():
                self.add(item[0])
                self.add(item[1])
            self.out += b"u"
        elif isinstance(value, (list, tuple)):
            self.out += b"](" if isinstance(value, list) else b"("
            for item in value:
                self.add(item)
            self.out += b"e" if isinstance(value, list) else b"t"
        elif isinstance(value, Half):
            self.half(value)
        elif isinstance(value, str):
            self.out += b"X" + struct.pack("<I", len(value)) + value.encode()
        else:
            self.out += b"J" + struct.pack("<i", value)

    def half(self, tensor):
        """_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)"""
        self.name("torch._utils", "_rebuild_tensor_v2")
        self.out += b"(("
        self.add("storage")
        self.name("torch", "HalfStorage")
        for value in (tensor.key, "cpu", tensor.width**2):
            self.add(value)
        self.out += b"tQ"
        for value in (0, (tensor.width, tensor.width), (tensor.width, 1)):
            self.add(value)
        self.out += b"\x89"
        self.name("collections", "OrderedDict")
        self.out += b")RtR"


class Half:
    def __init__(self, key, width):
        self.key, self.width = key, width


def write_lens(name, target):
    """A Jacobian lens as JacobianLens.save writes it (torch.save of a dict)."""
    maps, width, pickle = lens_maps(name), WIDTH[name], Pickle()
    pickle.add({
        "J": {layer: Half(str(i), width) for i, layer in enumerate(maps)},
        "n_prompts": 1, "source_layers": list(maps), "d_model": width,
    })
    with zipfile.ZipFile(target, "w") as out:
        out.writestr("lens/data.pkl", bytes(pickle.out + b"."))
        out.writestr("lens/byteorder", "little")
        for i, values in enumerate(maps.values()):
            out.writestr(f"lens/data/{i}", values)
        out.writestr("lens/version", "3\n")


def read_safetensors(path):
    """{name: (shape, array)} of float32 and int32 arrays."""
    data = Path(path).read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header, out = json.loads(data[8 : 8 + size]), {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        values = array.array({"F32": "f", "I32": "i"}[entry["dtype"]])
        first, last = entry["data_offsets"]
        values.frombytes(data[8 + size + first : 8 + size + last])
        out[name] = (entry["shape"], values)
    return out


def whole_grid(name, positions):
    """{(site, layer): z_A - z_B by position} of golden/MODEL/patch_grid.bin, as make_patch_grid.py
    writes it."""
    values = array.array("f")
    values.frombytes((GOLDEN / name / "patch_grid.bin").read_bytes())
    layers = (len(values) // positions - 1) // 4
    places = [("embedding", 0)]
    for site in ("attention_out", "before", "ffn_out", "after"):
        places += [(site, layer) for layer in range(layers)]
    rows = [values[i : i + positions] for i in range(0, len(values), positions)]
    return dict(zip(places, rows, strict=True))
