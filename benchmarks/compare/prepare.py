# SPDX-License-Identifier: BSD-3-Clause
"""Writes the default model for the peers: dequantised to float32 as a GGUF and as a Hugging Face
folder, and a text's token ids for all to read.

usage: prepare.py MODEL.gguf FOLDER
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
sys.path.insert(0, str(GOLDEN))

import gguf_export
import transformers
from make_smollm2 import Checkpoint

LONGEST = 4096 + 64


def plain(model):
    """The same model, for transformers refuses to save one that it read from a GGUF."""
    model.config.__dict__.pop("quantization_config", None)
    out = type(model)(model.config)
    out.load_state_dict(model.state_dict())
    return out


def main():
    model, folder = sys.argv[1], Path(sys.argv[2])
    # Checks that the weights are, bit for bit, what the gguf package dequantises.
    checkpoint = Checkpoint(model)
    plain(checkpoint.model).save_pretrained(folder / "hf")
    transformers.PreTrainedTokenizerFast(tokenizer_object=checkpoint.tokenizer).save_pretrained(
        folder / "hf"
    )
    gguf_export.write(folder / "f32.gguf", checkpoint.model)
    text = (GOLDEN / "smollm2" / "perplexity.txt").read_text(encoding="utf-8")
    ids = checkpoint.ids(text)
    ids *= LONGEST // len(ids) + 1
    (folder / "ids.txt").write_text(" ".join(map(str, ids[:LONGEST])) + "\n")


if __name__ == "__main__":
    main()
