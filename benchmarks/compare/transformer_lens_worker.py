# SPDX-License-Identifier: BSD-3-Clause
"""TransformerLens: run_with_cache, then its final norm and unembedding, or files; patching by
run_with_hooks."""

import shutil
from functools import cache

import torch
from safetensors.torch import save_file
from transformer_lens.model_bridge import TransformerBridge

from torch_worker import best_tokens, dominant, traced
from worker import FOLDER, IDS, MODEL, TOLD, Stopwatch, answer, serve

WANTED = ("hook_resid_mid", "hook_resid_post", "mlp.hook_post")

bridge = TransformerBridge.boot_transformers(MODEL)


@cache
def norms():
    return [block.mlp.out.weight.norm(dim=0) for block in bridge.blocks]


def reading(residuals):
    return best_tokens(bridge.unembed(bridge.ln_final(residuals))[0])


def trace(count):
    ids = torch.tensor([IDS[:count]])
    norms()
    with Stopwatch() as watch:
        _, cached = bridge.run_with_cache(ids, names_filter=lambda name: name.endswith(WANTED))
        found = [
            (
                reading(cached[f"blocks.{l}.hook_resid_mid"]),
                reading(cached[f"blocks.{l}.hook_resid_post"]),
                dominant(cached[f"blocks.{l}.mlp.hook_post"][0], n),
            )
            for l, n in enumerate(norms())
        ]
    return traced(watch.seconds, found)


WINDOW, TOGETHER = 512, 1  # tokens of a captured sequence; sequences of a run


def residuals():
    """xlens's name of each residual, and TransformerLens's."""
    names = {"embedding": "blocks.0.hook_resid_pre"}
    for l in range(len(bridge.blocks)):
        names[f"before.{l}"] = f"blocks.{l}.hook_resid_mid"
        names[f"after.{l}"] = f"blocks.{l}.hook_resid_post"
    return names


def capture(count):
    """All residuals of windows of the first tokens, as safetensors; some numbers of each's last
    row."""
    names = residuals()
    wanted = set(names.values())
    folder = FOLDER / "captured_by_transformer_lens"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    values = {name: [] for name in names}
    with Stopwatch() as watch:
        windows = torch.tensor(IDS[:count]).view(-1, WINDOW)
        for number, some in enumerate(windows.split(TOGETHER)):
            _, cached = bridge.run_with_cache(
                some, names_filter=lambda name: name in wanted, return_type=None
            )
            found = {ours: cached[theirs] for ours, theirs in names.items()}
            save_file(found, folder / f"{number}.safetensors")
            for name, x in found.items():
                values[name] += x[:, -1, ::TOLD].flatten().tolist()
    shutil.rmtree(folder)
    return answer(watch.seconds, **values)


@cache
def source(count):
    """What the layers leave of another prompt."""
    ids = torch.tensor([IDS[count : 2 * count]])
    return bridge.run_with_cache(ids, names_filter=lambda n: n.endswith("hook_resid_post"))[1]


def patch(count, step):
    """A whole run for each position and every `step`-th layer."""
    cached = source(count)
    prompt = torch.tensor([IDS[:count]])
    token, other = IDS[2 * count], IDS[count]
    differences = []
    with Stopwatch() as watch:
        for l in range(0, len(bridge.blocks), step):
            name = f"blocks.{l}.hook_resid_post"
            for position in range(count):

                def put(x, hook):
                    x[:, position] = cached[name][:, position]
                    return x

                logits = bridge.run_with_hooks(prompt, fwd_hooks=[(name, put)])[0, -1]
                differences.append(float(logits[token] - logits[other]))
    return answer(watch.seconds, difference=differences)


if __name__ == "__main__":
    serve(trace=trace, capture=capture, patch=patch)
