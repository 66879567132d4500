"""examples/detox refuses a folder whose value vectors are not the paper's: run.py SOURCE BUILD

Standard library only, as the check is: it comes before anything that has to be installed.
"""

import array
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

LAYERS, INNER, WIDTH = 24, 4096, 4  # gpt2-medium's, but for the width


def write_folder(folder, layers):
    """A random gpt2 checkpoint without a tokenizer."""
    shapes = {"wte.weight": [60, WIDTH], "wpe.weight": [16, WIDTH]}
    for l in range(layers):
        for norm in ("ln_1", "ln_2"):
            shapes[f"h.{l}.{norm}.weight"] = shapes[f"h.{l}.{norm}.bias"] = [WIDTH]
        for name, wide, to in (("attn.c_attn", WIDTH, 3 * WIDTH), ("attn.c_proj", WIDTH, WIDTH),
                               ("mlp.c_fc", WIDTH, INNER), ("mlp.c_proj", INNER, WIDTH)):
            shapes[f"h.{l}.{name}.weight"], shapes[f"h.{l}.{name}.bias"] = [wide, to], [to]
    shapes["ln_f.weight"] = shapes["ln_f.bias"] = [WIDTH]
    generator, header, data = random.Random(2203), {}, bytearray()
    for name, shape in shapes.items():
        first = len(data)
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        data += array.array("f", (generator.random() - 0.5 for _ in range(count))).tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [first, len(data)]}
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": WIDTH, "n_head": 1,
        "n_inner": INNER, "n_layer": layers, "n_positions": 16, "vocab_size": 60,
        "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True,
    }))


def refusal(source, build, folder, work):
    """What the experiment prints of this model; it must end with 2 and one line."""
    something = folder / "config.json"  # a wheel and a text are not looked at before the vectors
    done = subprocess.run(
        [sys.executable, source / "examples/detox/experiment.py", "--build", build, "--model",
         folder, "--wheel", something, "--text", something, "--work", work],
        text=True, capture_output=True, check=False)
    if done.returncode != 2 or done.stdout or done.stderr.count("\n") != 1:
        sys.exit(f"expected 2 and one line, got {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stderr


def expect(found, *parts):
    for part in parts:
        if part not in found:
            sys.exit(f"expected {part!r} in {found!r}")


def main():
    source, build = map(pathlib.Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for layers in (LAYERS, 12):
            (root / str(layers)).mkdir()
            write_folder(root / str(layers), layers)
        expect(refusal(source, build, root / "24", root / "work"),
               f"detox: {root}/24: value vector 13:1852: expected transparency, disclosure, "
               "clearer, humility among its 30 top tokens, got ", "not the paper's gpt2-medium")
        expect(refusal(source, build, root / "12", root / "work"),
               "neuron 13:1852: layer 13, the model has layers 0 to 11")


main()
