# SPDX-License-Identifier: BSD-3-Clause
"""The whole grid of a patch, all layers and positions, by hooks on transformers' models: a row of
a batch a cell, so that every cell is a whole pass. Before the first token that differs the source
has what the prompt has (checked here), and a patch changes nothing.

usage: python make_patch_grid.py SMOLLM2.gguf GEMMA3.gguf
writes smollm2/patch_grid.bin and gemma3_270m/patch_grid.bin: of make_patch.py's prompts z_A - z_B
as little-endian float32, by site (SITES), layer and position; the embedding has one layer. Layers
that patch.json has, too, are compared with it. Some minutes, 3 GB.
"""

import json
import sys

import torch

import make_gemma3
import make_patch
import make_smollm2

SITES = ("embedding", "attention_out", "before", "ffn_out", "after")
LIMIT = 5e-5  # a batch is summed up in another order than a single row


class Rows(make_patch.Hooked):
    """A pass over a row for each of some positions, patched there alone."""

    def run(self, ids, site, layer, positions, values):
        """Last logits (rows, V); `values` (rows, D)."""
        at = torch.arange(len(positions)), torch.tensor(positions)
        entered = {}

        def put(x, new):
            x = x.clone()
            x[at] = new
            return x

        def enter(_, args):
            entered["x"] = args[0]
            return (put(args[0], values) if site == "embedding" else args[0],) + args[1:]

        def leave(_, __, output):
            x = output[0] if isinstance(output, tuple) else output
            # Attention's output is what makes the residual behind it `before`.
            x = put(x, values - entered["x"][at] if site == "before" else values)
            return (x,) + output[1:] if isinstance(output, tuple) else x

        block = self.layers[layer]
        attention, ffn = (block.get_submodule(name) for name in self.names)
        places = {"attention_out": attention, "before": attention, "ffn_out": ffn, "after": block}
        handles = [block.register_forward_pre_hook(enter)]
        if site in places:
            handles.append(places[site].register_forward_hook(leave))
        batch = torch.tensor([ids] * len(positions))
        logits = self.model(batch, use_cache=False, logits_to_keep=1).logits[:, -1]
        for handle in handles:
            handle.remove()
        return logits.double()


@torch.no_grad()
def grid(name, checkpoint, names, out):
    golden = json.loads((out / "patch.json").read_text(encoding="utf-8"))
    prompt, source, (a, b) = golden["prompt"], golden["source"], golden["tokens"]
    assert checkpoint.ids(make_patch.PROMPT) == prompt
    differ = [x == y for x, y in zip(prompt, source)].index(False)
    kept, own = {}, {}
    hooked, rows = make_patch.Hooked(checkpoint, names), Rows(checkpoint, names)
    hooked.run(source, keep=kept)
    hooked.run(prompt, keep=own)
    known = {(row["site"], row["layer"]): row["metrics"] for row in golden["grid"]}
    cells, worst = [], 0.0
    for site in SITES:
        for layer in range(len(rows.layers) if site != "embedding" else 1):
            values = kept[site, layer]
            assert torch.equal(values[:differ], own[site, layer][:differ])
            cell = torch.full((len(prompt),), golden["of_prompt"][0], dtype=torch.float64)
            z = rows.run(prompt, site, layer, list(range(differ, len(prompt))), values[differ:])
            cell[differ:] = z[:, a] - z[:, b]
            cells.append(cell)
            if (site, layer) in known:
                there = torch.tensor([m[0] for m in known[site, layer]]).double()
                worst = max(worst, float((cell - there).abs().max()))
            print(name, site, layer, f"{worst:.1e}", flush=True)
    assert 0.0 < worst < LIMIT, worst
    print(f"{name}: from single passes at most {worst:.1e}")
    (out / "patch_grid.bin").write_bytes(torch.stack(cells).numpy().astype("<f4").tobytes())


def main():
    torch.set_num_threads(2)
    smollm2 = make_smollm2.Checkpoint(sys.argv[1])
    grid("smollm2", smollm2, ("self_attn", "mlp"), make_smollm2.OUT)
    del smollm2
    behind = ("post_attention_layernorm", "post_feedforward_layernorm")
    grid("gemma3_270m", make_gemma3.Checkpoint(sys.argv[2]), behind, make_gemma3.OUT)


if __name__ == "__main__":
    main()
