# SPDX-License-Identifier: BSD-3-Clause
"""Grids of patched runs and ablations, by hooks on transformers' models: one whole pass a cell,
or a row of a batch.

usage: python make_patch.py SMOLLM2.gguf GEMMA3.gguf
writes patch.json and patch_heads.json in smollm2/ and gemma3_270m/; README.md has the schema. Some
minutes, 3 GB.
"""

import sys
from pathlib import Path

import torch

import make_gemma3
import make_smollm2
from common import numbers, write_json

OUT = Path(__file__).parent
PROMPT = "When Mary and John went to the store, Mary gave a drink to"
SOURCE = "When Mary and John went to the store, John gave a drink to"
SHORT = "Mary and John went to the store, John gave a drink to"
TOKENS = (" John", " Mary")
SITES = ("embedding", "attention_out", "before", "ffn_out", "after")
MEAN_TOKENS, MEAN_WINDOW = 200, 64


class Hooked:
    """A model whose sites can be read and written. `names`: the modules of a layer whose outputs
    are what attention and FFN add."""

    def __init__(self, checkpoint, names):
        self.model = checkpoint.model
        self.layers = checkpoint.model.model.layers
        self.names = names

    def run(self, ids, keep=None, write=None):
        """Last logits. keep: a dict that gets (site, layer) -> (T, D). write: (site, layer,
        position, vector)."""
        handles, entered = [], {}
        for index, layer in enumerate(self.layers):
            handles += self.hook(index, layer, keep, write, entered)
        try:
            with torch.no_grad():
                return self.model(torch.tensor([ids]), use_cache=False).logits[0, -1].double()
        finally:
            for handle in handles:
                handle.remove()

    def hook(self, index, layer, keep, write, entered):
        def seen(site, x):
            if keep is not None:
                keep[site, index] = x[0].clone()

        def mine(site):
            return write is not None and write[:2] == (site, index)

        def changed(x, value):
            x = x.clone()
            x[0, write[2]] = value
            return x

        def enter(_, args):
            x = args[0]
            if index == 0:
                seen("embedding", x)
                if mine("embedding"):
                    x = changed(x, write[3])
            entered[index] = x
            return (x,) + args[1:]

        def attention(_, __, output):
            x = output[0] if isinstance(output, tuple) else output
            seen("attention_out", x)
            seen("before", entered[index] + x)
            if mine("attention_out"):
                x = changed(x, write[3])
            if mine("before"):
                x = changed(x, write[3] - entered[index][0, write[2]])
            return (x,) + output[1:] if isinstance(output, tuple) else x

        def ffn(_, __, x):
            seen("ffn_out", x)
            return changed(x, write[3]) if mine("ffn_out") else x

        def after(_, __, output):
            x = output[0] if isinstance(output, tuple) else output
            seen("after", x)
            if mine("after"):
                x = changed(x, write[3])
            return (x,) + output[1:] if isinstance(output, tuple) else x

        def heads(_, args):
            seen("head_outputs", args[0])

        return [
            layer.self_attn.o_proj.register_forward_pre_hook(heads),
            layer.register_forward_pre_hook(enter),
            layer.get_submodule(self.names[0]).register_forward_hook(attention),
            layer.get_submodule(self.names[1]).register_forward_hook(ffn),
            layer.register_forward_hook(after),
        ]

    def put_heads(self, ids, layer, positions, values):
        """Last logits (H, V): row h of a batch has head h of values (positions, H·d)."""
        heads, size = self.model.config.num_attention_heads, self.layers[layer].self_attn.head_dim

        def put(_, args):
            z = args[0].clone()
            for h in range(heads):
                own = slice(h * size, (h + 1) * size)
                z[h, positions, own] = values[:, own]
            return (z,) + args[1:]

        handle = self.layers[layer].self_attn.o_proj.register_forward_pre_hook(put)
        try:
            with torch.no_grad():
                batch = torch.tensor([ids] * heads)
                out = self.model(batch, use_cache=False, logits_to_keep=1)
                return out.logits[:, -1].double()
        finally:
            handle.remove()


def metrics(logits, a, b, source, prompt):
    """[z_a - z_b, p_a, KL from the source's prediction, KL from the prompt's]."""
    log_p = torch.log_softmax(logits, 0)
    kl = lambda z: (z.softmax(0) * (torch.log_softmax(z, 0) - log_p)).sum()
    return numbers([logits[a] - logits[b], log_p[a].exp(), kl(source), kl(prompt)])


def means(hooked, ids, start):
    """The mean at every site over windows of a text, without the first position of each."""
    sums, count = {}, 0
    room = MEAN_WINDOW - len(start)
    for first in range(0, len(ids), room):
        keep = {}
        hooked.run(start + ids[first : first + room], keep=keep)
        for place, x in keep.items():
            sums[place] = sums.get(place, 0) + x[1:].double().sum(0)
        count += len(keep["embedding", 0]) - 1
    return {place: (x / count).float() for place, x in sums.items()}


def told(prompt, source, short, tokens, text, start):
    """What a test needs to do the same."""
    return {
        "prompt": prompt,
        "source": source,
        "short": short,
        "tokens": tokens,
        "text": text[:MEAN_TOKENS],
        "start": start,
        "window": MEAN_WINDOW,
    }


def golden(checkpoint, names, layers, text, start):
    hooked = Hooked(checkpoint, names)
    prompt, source, short = (checkpoint.ids(t) for t in (PROMPT, SOURCE, SHORT))
    encode = lambda t: checkpoint.ids(t)[len(start) :]
    (a,), (b,) = (encode(t) for t in TOKENS)
    assert len(prompt) == len(source) == len(short) + 1
    kept, kept_short = {}, {}
    z_source = hooked.run(source, keep=kept)
    hooked.run(short, keep=kept_short)
    z_prompt = hooked.run(prompt)
    measure = lambda z: metrics(z, a, b, z_source, z_prompt)
    mean = means(hooked, encode(text)[:MEAN_TOKENS], start)
    grid, ablated = [], []
    for site in SITES:
        for layer in layers if site != "embedding" else (0,):
            values = kept[site, layer]
            patched = lambda p, x: measure(hooked.run(prompt, write=(site, layer, p, x)))
            grid.append(
                {
                    "site": site,
                    "layer": layer,
                    "metrics": [patched(p, values[p]) for p in range(len(prompt))],
                }
            )
            some = (1, len(prompt) - 4, len(prompt) - 1)
            ablated.append(
                {
                    "site": site,
                    "layer": layer,
                    "positions": some,
                    "zero": [patched(p, torch.zeros_like(values[p])) for p in some],
                    "mean": [patched(p, mean[site, layer]) for p in some],
                    # The shorter prompt's, counted from the ends.
                    "aligned_by_end": [patched(p, kept_short[site, layer][p - 1]) for p in some],
                }
            )
            print(site, layer)
    return {
        **told(prompt, source, short, [a, b], encode(text), start),
        "of_prompt": measure(z_prompt),
        "of_source": measure(z_source),
        "grid": grid,
        "ablated": ablated,
    }


def golden_heads(checkpoint, names, layers, text, start):
    """Every head of every layer patched at all positions together; of `layers`, taken out at
    some."""
    hooked = Hooked(checkpoint, names)
    prompt, source, short = (checkpoint.ids(t) for t in (PROMPT, SOURCE, SHORT))
    encode = lambda t: checkpoint.ids(t)[len(start) :]
    (a,), (b,) = (encode(t) for t in TOKENS)
    kept, kept_short = {}, {}
    z_source = hooked.run(source, keep=kept)
    hooked.run(short, keep=kept_short)
    z_prompt = hooked.run(prompt)
    mean = means(hooked, encode(text)[:MEAN_TOKENS], start)
    every, some = range(len(prompt)), (1, len(prompt) - 4, len(prompt) - 1)

    def patched(layer, positions, values):
        """The metrics of each head, with its part of values (positions, H·d)."""
        rows = hooked.put_heads(prompt, layer, list(positions), values)
        return [metrics(z, a, b, z_source, z_prompt) for z in rows]

    grid, ablated = [], []
    for layer in range(len(hooked.layers)):
        values = kept["head_outputs", layer]
        grid.append({"layer": layer, "metrics": patched(layer, every, values)})
        if layer in layers:
            average = mean["head_outputs", layer].repeat(len(some), 1)
            shorter = kept_short["head_outputs", layer][[p - 1 for p in some]]
            ablated.append(
                {
                    "layer": layer,
                    "zero": patched(layer, some, torch.zeros_like(average)),
                    "mean": patched(layer, some, average),
                    "aligned_by_end": patched(layer, some, shorter),
                }
            )
        print("head_outputs", layer, flush=True)
    measure = lambda z: metrics(z, a, b, z_source, z_prompt)
    return {
        **told(prompt, source, short, [a, b], encode(text), start),
        "of_prompt": measure(z_prompt),
        "of_source": measure(z_source),
        "grid": grid,
        "positions": some,
        "ablated": ablated,
    }


def write_goldens(folder, *what):
    write_json(folder / "patch.json", golden(*what))
    write_json(folder / "patch_heads.json", golden_heads(*what))


if __name__ == "__main__":
    smollm2 = make_smollm2.Checkpoint(sys.argv[1])
    text = (make_smollm2.OUT / "perplexity.txt").read_text(encoding="utf-8")
    write_goldens(make_smollm2.OUT, smollm2, ("self_attn", "mlp"), (0, 6, 17, 29), text, [])
    del smollm2
    write_goldens(
        make_gemma3.OUT,
        make_gemma3.Checkpoint(sys.argv[2]),
        ("post_attention_layernorm", "post_feedforward_layernorm"),
        (0, 5, 11, 17),
        make_gemma3.TEXT,
        [2],
    )
