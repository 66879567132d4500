# SPDX-License-Identifier: BSD-3-Clause
"""What `xlens capture` is to find in SmolLM2 and Gemma 3 270M, by transformers in float32 with
forward hooks, on the weights that the gguf package dequantises.

usage: python make_capture.py SMOLLM2.gguf GEMMA.gguf
           writes capture/golden.json (README.md has the schema): a few numbers of a few rows
       python make_capture.py SMOLLM2.gguf GEMMA.gguf --compare ../../build/xlens
           writes nothing: captures both prompts of both models with that program, at all sites,
           layers and positions, reads the arrays by safetensors and by NumPy, and prints how far
           they are from transformers' in double precision at most, relative to the largest number
           of the row; fails from 1e-5 on. (transformers in float32 is up to 2.2e-5 off.)
Needs what make_gemma3.py needs. A minute and 3 GB; to compare, 5 minutes and 6 GB.
"""

import json
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

import make_gemma3
import make_smollm2
from common import number, write_json
from make_families import Places

OUT = Path(__file__).parent / "capture"
MODELS = {"smollm2": make_smollm2.Checkpoint, "gemma3_270m": make_gemma3.Checkpoint}
PROMPTS = ["The longest river in South America is the", "3, 6, 12, 24, 48, 96,"]
KEPT = 16  # numbers of a row in the golden
OF_LAYERS = ["before", "after", "attention_out", "pre_activations", "coefficients"]
LIMIT = 1e-5


@torch.no_grad()
def arrays_of(model, ids):
    """{name: (T, .)} under the names of `xlens capture`."""
    places, out, handles = Places(model), {}, []
    for layer, block in enumerate(places.layers):

        def keep(module, inputs, output, layer=layer):
            out[f"pre_activations.{layer}"] = output[0].clone()

        handles.append(block.mlp.gate_proj.register_forward_hook(keep))

    def keep_final(module, inputs):
        out["final"] = inputs[0][0].clone()

    handles.append(places.final_norm.register_forward_pre_hook(keep_final))
    logits, records = places.run(ids)
    for handle in handles:
        handle.remove()
    out["logits"], out["embedding"] = logits, records[0]["entered"]
    for layer, record in enumerate(records):
        for site, key in (("before", "before"), ("after", "after"), ("coefficients", "m")):
            out[f"{site}.{layer}"] = record[key]
        out[f"attention_out.{layer}"] = places.multiplier * record["attention"]
    return {name: x.numpy() for name, x in out.items()}


def llama_norm(self, x):
    return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)


def gemma_norm(self, x):
    return (1.0 + self.weight) * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


NORMS = {"LlamaRMSNorm": llama_norm, "Gemma3RMSNorm": gemma_norm}


def in_double(model):
    """The model in double precision, with norms that do not go back to float32; the softmax of
    attention and the rotations do."""
    torch.nn.Module.double(model)  # the method of models read from GGUF refuses
    for module in model.modules():
        if type(module).__name__ in NORMS:
            module.forward = types.MethodType(NORMS[type(module).__name__], module)
    return model


def kept_columns(width):
    return [width * i // KEPT for i in range(KEPT)]


def golden_rows(arrays, layers):
    """The first and the last row, KEPT numbers spread over each, and its norm."""
    rows = []
    for name, x in arrays.items():
        layer = int(name.split(".")[1]) if "." in name else None
        if layer not in (None, 0, layers // 2, layers - 1):
            continue
        for position in sorted({0, len(x) - 1}):
            row = x[position]
            rows.append(
                {
                    "array": name,
                    "position": position,
                    "largest": number(float(np.abs(row).max())),
                    "norm": number(float(np.linalg.norm(row.astype(np.float64)))),
                    "values": [number(float(row[c])) for c in kept_columns(len(row))],
                }
            )
    return rows


def captured(program, path, ids, storage):
    """All arrays of a capture, by Python's own readers."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [program, "capture", path, "--ids", ",".join(map(str, ids)), "-o", folder,
             "--sites", ",".join(["embedding", "final", "logits"] + OF_LAYERS),
             "--format", storage],
            check=True, capture_output=True,
        )
        manifest = json.loads((Path(folder) / "manifest.json").read_text())
        assert manifest["rows"] == len(ids) and manifest["sequences"][0]["ids"] == ids
        if storage == "safetensors":
            return load_file(Path(folder) / manifest["files"][0]["name"])
        names = [a["name"] for a in manifest["arrays"]]
        return {name: np.load(Path(folder) / f"{name}-00000.npy") for name in names}


def compare(program, path, name, model, prompts):
    worst = {}
    for ids in prompts:
        expected = arrays_of(model, ids)
        found = captured(program, path, ids, "safetensors")
        again = captured(program, path, ids, "npy")
        assert set(found) == set(expected) | {"sequence", "position", "token"}
        assert all((found[k] == again[k]).all() and found[k].dtype == again[k].dtype for k in found)
        assert found["position"].tolist() == list(range(len(ids)))
        assert found["token"].tolist() == ids and not found["sequence"].any()
        for array, x in expected.items():
            error = np.abs(found[array] - x).max(1) / np.abs(x).max(1)
            site = array.split(".")[0]
            worst[site] = max(worst.get(site, 0.0), float(error.max()))
    for site, error in worst.items():
        print(f"{name:<12} {site:<16} {error:.1e}")
    assert max(worst.values()) < LIMIT, f"{name}: {worst}"


def main():
    torch.set_num_threads(2)
    golden = {"prompts": PROMPTS}
    for path, (name, checkpoint) in zip(sys.argv[1:3], MODELS.items()):
        opened = checkpoint(path)
        prompts = [opened.ids(text) for text in PROMPTS]
        if sys.argv[3:4] == ["--compare"]:
            compare(sys.argv[4], path, name, in_double(opened.model), prompts)
            continue
        layers = opened.model.config.num_hidden_layers
        golden[name] = [
            {"ids": ids, "rows": golden_rows(arrays_of(opened.model, ids), layers)}
            for ids in prompts
        ]
    if sys.argv[3:4] != ["--compare"]:
        OUT.mkdir(exist_ok=True)
        write_json(OUT / "golden.json", golden)


if __name__ == "__main__":
    main()
