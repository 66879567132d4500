# SPDX-License-Identifier: BSD-3-Clause
"""Texts that llama.cpp (llama_cpp_python 0.3.36) steers by control vectors: one that `xlens
direction` wrote, and one that ggml wrote, as llama.cpp's generator of them does.

usage: python make_control_vectors.py SMOLLM2.gguf ../../build/xlens
writes directions/: xlens.gguf, ggml.gguf, control_vectors.json; README.md has the schema.

llama.cpp reads the model's weights dequantised to float32 and keeps keys and values in float32, so
that it computes what xlens does; with the quantised file it rounds inputs to 8 bits. The files are
read and written by ggml's own functions. `direction.L` is added to what layer L leaves, L counted
from 0: the buffer that llama_set_adapter_cvec takes begins with that of layer 1, and llama.cpp adds
nothing behind layer 0. A minute and 3 GB.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import llama_cpp as llama
import numpy as np
import torch

import gguf_export
import make_smollm2
from common import number, write_json

OUT = Path(__file__).parent / "directions"
PAIRS = Path(__file__).parents[2] / "examples/happy_sad.jsonl"
PROMPTS = (
    "The food at the new restaurant was",
    "When I woke up this morning I felt",
    "Dear diary, the journey by train to the old town",
)
NEW_TOKENS = 24
THREADS = 1  # llama.cpp's wait for each other, long where others have work, too
# Of each file what is added: layers and strength, as llama-cli's --control-vector-layer-range and
# --control-vector-scaled have them.
RUNS = {
    "xlens.gguf": [(12, 12, 0.8), (11, 13, -0.4)],
    "ggml.gguf": [(13, 13, 40.0), (9, 11, 15.0)],
}
LEAST_LEAD = 5e-3  # of a greedy token, in logits: more than both programs' rounding

GGML = ctypes.CDLL(
    str(Path(llama.__file__).parent / "lib/libggml-base.so"), mode=ctypes.RTLD_GLOBAL
)
POINTER, TEXT, SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t


class GgmlParameters(ctypes.Structure):
    _fields_ = [("mem_size", SIZE), ("mem_buffer", POINTER), ("no_alloc", ctypes.c_bool)]


class GgufParameters(ctypes.Structure):
    _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.POINTER(POINTER))]


def ggml(name, result, *arguments):
    function = getattr(GGML, name)
    function.restype, function.argtypes = result, arguments
    return function


def write_vector(path, directions):
    """As tools/cvector-generator does: the keys, then `direction.L` of one dimension."""
    room = sum(4 * len(d) for d in directions.values()) + (1 << 20)
    context = ggml("ggml_init", POINTER, GgmlParameters)(GgmlParameters(room, None, False))
    file = ggml("gguf_init_empty", POINTER)()
    text = ggml("gguf_set_val_str", None, POINTER, TEXT, TEXT)
    text(file, b"general.architecture", b"controlvector")
    text(file, b"controlvector.model_hint", b"llama")
    count = ggml("gguf_set_val_i32", None, POINTER, TEXT, ctypes.c_int32)
    count(file, b"controlvector.layer_count", len(directions))
    new = ggml("ggml_new_tensor_1d", POINTER, POINTER, ctypes.c_int, ctypes.c_int64)
    for layer, d in directions.items():
        tensor = new(context, 0, len(d))  # GGML_TYPE_F32
        ggml("ggml_set_name", POINTER, POINTER, TEXT)(tensor, f"direction.{layer}".encode())
        data = np.ascontiguousarray(d, dtype=np.float32)
        place = ggml("ggml_get_data", POINTER, POINTER)(tensor)
        ctypes.memmove(place, data.ctypes.data, data.nbytes)
        ggml("gguf_add_tensor", None, POINTER, POINTER)(file, tensor)
    wrote = ggml("gguf_write_to_file", ctypes.c_bool, POINTER, TEXT, ctypes.c_bool)
    assert wrote(file, os.fsencode(path), False), path


def read_vector(path, layers, width):
    """(layers - 1, D), that of layer 1 first; what the file lacks is 0."""
    context = POINTER()
    parameters = GgufParameters(False, ctypes.pointer(context))
    assert ggml("gguf_init_from_file", POINTER, TEXT, GgufParameters)(os.fsencode(path), parameters)
    out = np.zeros((layers - 1, width), dtype=np.float32)
    tensor_of = ggml("ggml_get_tensor", POINTER, POINTER, TEXT)
    for layer in range(1, layers):
        tensor = tensor_of(context, f"direction.{layer}".encode())
        if tensor:
            assert ggml("ggml_nelements", ctypes.c_int64, POINTER)(tensor) == width
            data = ggml("ggml_get_data_f32", ctypes.POINTER(ctypes.c_float), POINTER)(tensor)
            out[layer - 1] = np.ctypeslib.as_array(data, (width,))
    return out


@llama.llama_log_callback
def silent(_level, _text, _data):
    pass


class Subject:
    """The model in llama.cpp, in float32 throughout."""

    def __init__(self, path):
        llama.llama_log_set(silent, None)
        llama.llama_backend_init()
        parameters = llama.llama_model_default_params()
        self.model = llama.llama_model_load_from_file(os.fsencode(path), parameters)
        self.layers = llama.llama_model_n_layer(self.model)
        self.width = llama.llama_model_n_embd(self.model)
        self.words = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))

    def context(self):
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 128
        parameters.n_threads = parameters.n_threads_batch = THREADS
        parameters.type_k = parameters.type_v = 0  # GGML_TYPE_F32
        parameters.flash_attn_type = 0  # LLAMA_FLASH_ATTN_TYPE_DISABLED
        return llama.llama_init_from_model(self.model, parameters)

    def greedy(self, ids, push=None, layers=None):
        """NEW_TOKENS ids, and the smallest lead of one over the next best."""
        context, out, leads = self.context(), [], []
        if push is not None:
            flat = np.ascontiguousarray(push)
            data = flat.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            assert not llama.llama_set_adapter_cvec(context, data, flat.size, self.width, *layers)
        fresh = list(ids)
        for _ in range(NEW_TOKENS):
            tokens = (llama.llama_token * len(fresh))(*fresh)
            assert not llama.llama_decode(context, llama.llama_batch_get_one(tokens, len(fresh)))
            z = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, -1), (self.words,))
            second, best = np.argsort(z)[-2:]
            leads.append(float(z[best] - z[second]))
            out.append(int(best))
            fresh = [int(best)]
        llama.llama_free(context)
        return out, min(leads)


def mean_differences(checkpoint, pairs):
    """{L: unit vector}: as in llama.cpp's generator, `direction.L` is of what enters layer L."""
    records = [
        [checkpoint.parts.run(checkpoint.ids(pair[side]))[1] for pair in pairs]
        for side in ("positive", "negative")
    ]
    out = {}
    for layer in range(1, len(records[0][0])):
        last = [np.stack([r[layer - 1]["after"][-1].numpy() for r in side]) for side in records]
        d = (last[0].astype(np.float64) - last[1]).mean(0)
        out[layer] = (d / np.linalg.norm(d)).astype(np.float32)
    return out


@torch.no_grad()
def main():
    torch.set_num_threads(2)
    path, program = sys.argv[1:3]
    checkpoint = make_smollm2.Checkpoint(path)
    pairs = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    write_vector(OUT / "ggml.gguf", mean_differences(checkpoint, pairs))
    subprocess.run(
        [program, "direction", path, "--pairs", PAIRS, "-o", OUT / "xlens.gguf",
         "--layers", "11-13"],
        check=True, capture_output=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / "f32.gguf"
        gguf_export.write(exact, checkpoint.model)
        subject = Subject(exact)
    prompts = [checkpoint.ids(text) for text in PROMPTS]
    plain = [subject.greedy(ids) for ids in prompts]
    decode, runs = checkpoint.tokenizer.decode, []
    for file, settings in RUNS.items():
        vector = read_vector(OUT / file, subject.layers, subject.width)
        for first, last, strength in settings:
            scaled = vector * np.float32(strength)
            texts = [subject.greedy(ids, scaled, (first, last)) for ids in prompts]
            for (ids, lead), (before, _), prompt in zip(texts, plain, PROMPTS):
                print(f"{file}:{first}-{last}={strength} {prompt!r} {lead:.4f}\n ",
                      repr(decode(before)), "\n ", repr(decode(ids)), flush=True)
                assert ids != before and lead > LEAST_LEAD
            runs.append({
                "file": file, "layers": f"{first}-{last}", "strength": strength,
                "texts": [ids for ids, _ in texts],
                "smallest_lead": number(min(lead for _, lead in texts)),
            })
    write_json(OUT / "control_vectors.json", {
        "prompts": prompts,
        "plain": [ids for ids, _ in plain],
        "smallest_lead": number(min(lead for _, lead in plain)),
        "runs": runs,
    })


if __name__ == "__main__":
    main()
