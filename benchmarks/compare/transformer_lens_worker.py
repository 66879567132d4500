# SPDX-License-Identifier: BSD-3-Clause
"""TransformerLens: run_with_cache, then its final norm and unembedding."""

from functools import cache

import torch
from transformer_lens.model_bridge import TransformerBridge

from torch_worker import best_tokens, dominant, traced
from worker import IDS, MODEL, Stopwatch, serve

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


if __name__ == "__main__":
    serve(trace=trace)
