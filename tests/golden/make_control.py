# SPDX-License-Identifier: BSD-3-Clause
"""Perplexity in overlapping windows with edited coefficients, of the tiny random checkpoints with
and without a gate.

usage: python make_control.py
writes models/{gpt2,llama}/control.json; README.md has the schema
"""

from pathlib import Path
from types import SimpleNamespace

import torch
from transformers import AutoModelForCausalLM

from common import write_json
from make_beam import coefficient_hook, gate_hook, strided
from model_golden import random_ids

MODELS = Path(__file__).parent / "models"
EDITS = ((0, 5, 3.0), (0, 17, -4.0), (1, 40, 6.0))
WINDOW, STRIDE, SEED = 16, 6, 60


def second_matrix(name, mlp):
    return mlp.c_proj if name == "gpt2" else mlp.down_proj


def before_activation(name, mlp):
    return mlp.c_fc if name == "gpt2" else mlp.gate_proj


@torch.no_grad()
def runs(name):
    model = AutoModelForCausalLM.from_pretrained(MODELS / name / "hf", dtype=torch.float32).eval()
    layers = model.transformer.h if name == "gpt2" else model.model.layers
    ids = random_ids(model.config.vocab_size, SEED)
    out = []
    for site in ("none", "coefficient", "pre_activation"):
        handles = []
        for l, i, v in EDITS if site != "none" else ():
            mlp = layers[l].mlp
            if site == "coefficient":
                hook = coefficient_hook([(i, v)])
                handles.append(second_matrix(name, mlp).register_forward_pre_hook(hook))
            else:
                hook = gate_hook([(i, v)])
                handles.append(before_activation(name, mlp).register_forward_hook(hook))
        edits = [{"neuron": f"{l}:{i}", "value": v} for l, i, v in EDITS if site != "none"]
        found = strided(SimpleNamespace(model=model), ids, WINDOW, STRIDE)
        out.append({"name": site, "site": site, "set": edits, "window": WINDOW, "stride": STRIDE,
                    **found})
        print(name, out[-1])
        for handle in handles:
            handle.remove()
    write_json(MODELS / name / "control.json", {"ids": ids, "runs": out})


for name in ("gpt2", "llama"):
    runs(name)
