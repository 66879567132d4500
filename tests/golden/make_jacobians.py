# SPDX-License-Identifier: BSD-3-Clause
"""Writes lenses/jacobians.json: Jacobian lenses of tiny checkpoints by torch.func.jacrev, compared
here with torch.func.jacfwd, in double precision; README.md has the schema. Half a minute.

The residual that a block leaves is replaced in a pass of the whole model, by a hook, and the one
that enters the final norm is taken. (Norms and softmax of some go through float32 all the same.)
"""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from common import first, numbers, write_json
from make_families import Places
from make_lenses import SKIPPED

HERE = Path(__file__).parent
# LayerNorm and biases; parallel branches; norms behind attention and FFN, windows and caps; the
# same with norms of heads.
CHECKPOINTS = ("models/gpt2", "models/gpt_neox", "families/gemma2", "families/gemma3_text")
LENGTHS = (34, 29)


class Residuals:
    """The last residual as a function of that which a block leaves."""

    def __init__(self, model, ids):
        self.model, self.ids = model, torch.tensor([ids])
        places = Places(model)
        self.layers, self.final_norm = places.layers, places.final_norm

    def run(self, layer, put=None):
        """What block `layer` leaves, and what enters the final norm, (T, D); `put` in its place."""
        kept = {}

        def leave(_, __, output):
            kept["left"] = first(output)[0]
            if put is None:
                return output
            return (put[None],) + output[1:] if isinstance(output, tuple) else put[None]

        def end(_, inputs):
            kept["last"] = inputs[0][0]

        handles = [
            self.layers[layer].register_forward_hook(leave),
            self.final_norm.register_forward_pre_hook(end),
        ]
        self.model(self.ids, use_cache=False)
        for handle in handles:
            handle.remove()
        return kept["left"], kept["last"]

    def jacobian(self, layer, of):
        """1/|V| Σ_{t∈V} Σ_{t'∈V} ∂h_last,t' / ∂h_l,t; t' < t gives 0, for attention is causal."""
        with torch.no_grad():
            left, last = self.run(layer)
        assert torch.allclose(self.run(layer, left)[1], last, atol=1e-12)
        whole = of(lambda h: self.run(layer, h)[1])(left)  # (T, D, T, D)
        valid = torch.arange(SKIPPED, len(left) - 1)
        return whole[valid][:, :, valid].sum(dim=(0, 2)).detach() / len(valid)


def golden(name):
    model = AutoModelForCausalLM.from_pretrained(
        HERE / name / "hf", dtype=torch.float64, attn_implementation="eager"
    ).eval()
    random = torch.Generator().manual_seed(11)
    words = model.config.vocab_size
    prompts = [torch.randint(words, (n,), generator=random).tolist() for n in LENGTHS]
    subjects = [Residuals(model, ids) for ids in prompts]
    maps = {}
    for layer in range(model.config.num_hidden_layers - 1):
        mean = lambda of: sum(s.jacobian(layer, of) for s in subjects) / len(subjects)
        j, other = mean(torch.func.jacrev), mean(torch.func.jacfwd)
        off = float((j - other).norm() / j.norm())
        print(f"{name} {layer}: norm {j.norm():.3f}, forward mode is {off:.1e} off", flush=True)
        assert off < 1e-6
        maps[str(layer)] = numbers(j)
    return {"checkpoint": name, "prompts": prompts, "maps": maps}


if __name__ == "__main__":
    torch.set_num_threads(1)
    write_json(HERE / "lenses/jacobians.json", [golden(name) for name in CHECKPOINTS])
