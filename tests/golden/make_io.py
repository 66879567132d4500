# SPDX-License-Identifier: BSD-3-Clause
"""Writes tests/golden/io: small files by the formats' own Python packages, for the readers' tests.

make_io.py [FOLDER]; needs gguf, safetensors, numpy and torch. Every tensor counts up from a first
value, so that the tests can state what they expect.
"""

import json
import pathlib
import sys

import gguf
import numpy as np
import torch
from safetensors.torch import save_file


def write_gguf(path):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint8("value.uint8", 200)
    writer.add_int8("value.int8", -100)
    writer.add_uint16("value.uint16", 60000)
    writer.add_int16("value.int16", -30000)
    writer.add_uint32("value.uint32", 4000000000)
    writer.add_int32("value.int32", -2000000000)
    writer.add_uint64("value.uint64", 2**64 - 1)
    writer.add_int64("value.int64", -(2**63))
    writer.add_float32("value.float32", 0.1)
    writer.add_float64("value.float64", 0.1)
    writer.add_bool("value.bool", True)
    writer.add_string("value.string", "naïve\n")
    writer.add_array("value.strings", ["a", "", "grün"])
    writer.add_array("value.floats", [0.5, -1.25])
    writer.add_array("value.integers", [3, -4, 5])
    writer.add_tensor("f32", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("f16", np.arange(10, 14, dtype=np.float16).reshape(4, 1, 1))
    for kind in (gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0,
                 gguf.GGMLQuantizationType.BF16):
        values = np.arange(64, dtype=np.float32).reshape(2, 32)
        writer.add_tensor(kind.name.lower(), gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_tokenizer(path):
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(["<|end|>", "a", "b", "ab", "Ġ"])
    writer.add_token_types([3, 1, 1, 1, 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_chat_template("{{ messages }}")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_safetensors(path):
    save_file(
        {
            "f32": torch.arange(6, dtype=torch.float32).reshape(2, 3),
            "f16": torch.arange(10, 14, dtype=torch.float16).reshape(4, 1, 1),
            "bf16": torch.arange(20, 23, dtype=torch.bfloat16),
            "scalar": torch.tensor(7.0),
            "empty": torch.zeros((0, 5)),
            "attn.bias": torch.tril(torch.ones(3, 3, dtype=torch.bool)),
            "position_ids": torch.arange(5, dtype=torch.int64),
        },
        path,
        metadata={"format": "pt", "note": "naïve"},
    )


def write_sharded(folder):
    folder.mkdir(exist_ok=True)
    shards = {
        "model-00001-of-00002.safetensors": {"a": torch.arange(4, dtype=torch.float32)},
        "model-00002-of-00002.safetensors": {
            "b": torch.arange(4, 10, dtype=torch.float16).reshape(3, 2),
            "mask": torch.ones(2, dtype=torch.uint8),
        },
    }
    weight_map = {}
    for name, tensors in shards.items():
        save_file(tensors, folder / name)
        weight_map.update({tensor: name for tensor in tensors})
    index = {"metadata": {"total_size": 30}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "rms_norm_eps": 1e-05,
        "tie_word_embeddings": True,
        "sliding_window": None,
        "rope_scaling": {"factor": 32.0, "rope_type": "llama3"},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def main():
    default = pathlib.Path(__file__).parent / "io"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    folder.mkdir(parents=True, exist_ok=True)
    write_gguf(folder / "values.gguf")
    write_tokenizer(folder / "tokenizer.gguf")
    write_safetensors(folder / "values.safetensors")
    write_sharded(folder / "sharded")


if __name__ == "__main__":
    main()
