# SPDX-License-Identifier: BSD-3-Clause
"""Two models on one text: KL, agreement and perplexity of what they predict, and how their layers
differ, by torch and NumPy. Tiny random checkpoints of models/ beside each other, and SmolLM2 (Q4_1,
dequantised to float32) beside itself with coefficients set.

usage: python make_compare.py MODEL.gguf
writes compare/{tiny,smollm2}.json; README.md has the schema
"""

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from common import Parts, number, numbers, ranked, write_json
from make_beam import coefficient_hook
from make_smollm2 import OUT as SMOLLM2
from make_smollm2 import Checkpoint
from model_golden import random_ids

HERE = Path(__file__).parent
DOMINANT, PROMOTED, SAMPLE = 10, 10, 32


def tiny(name):
    path = HERE / "models" / name / "hf"
    return Parts(AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval())


def gain(parts):
    """Of the final norm: of RMS norms and of layer norms."""
    return parts.final_norm.weight


class Reading:
    """One model over the windows of a text: a row a position that predicts something new."""

    def __init__(self, parts, ids, window, stride, edits=()):
        self.parts = parts
        layers = range(len(parts.layers))
        self.logits, self.targets, self.predicted = [], [], []
        self.after, self.m = [[] for _ in layers], [[] for _ in layers]
        handles = [
            parts.down(l).register_forward_pre_hook(coefficient_hook([(i, v)])) for l, i, v in edits
        ]
        scored = 1
        for start in range(0, len(ids), stride):
            part = ids[start : start + window]
            first = max(scored - start - 1, 0)  # row of the first new prediction
            rows = slice(first, len(part) - 1)
            if len(part) > 1:
                logits, records = parts.run(part)
                self.logits.append(logits[rows].double())
                self.targets += part[first + 1 :]
                self.predicted += range(start + first + 1, start + len(part))
                for l in layers:
                    self.after[l].append(records[l]["after"][rows])
                    self.m[l].append(records[l]["m"][rows])
            scored = start + len(part)
            if scored == len(ids):
                break
        for handle in handles:
            handle.remove()
        self.logits = torch.cat(self.logits)
        self.after = [torch.cat(x) for x in self.after]
        self.m = [torch.cat(x) for x in self.m]

    def log_probabilities(self):
        return torch.log_softmax(self.logits, -1)

    @torch.no_grad()
    def lens(self, layer):
        return torch.log_softmax(self.parts.lens(self.after[layer]).double(), -1)

    @torch.no_grad()
    def dominant(self, layer):
        """A dictionary neuron: coefficient for each position."""
        norms = self.parts.values(layer).norm(dim=1)
        return [
            {i: m[i].item() for i in ranked(m.abs() * norms, DOMINANT) if m[i] != 0}
            for m in self.m[layer]
        ]


def divergence(a, b):
    """KL(a || b) of every row of log-probabilities."""
    return (a.exp() * (a - b)).sum(-1)


def error(values):
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def outputs(a, b):
    log_a, log_b = a.log_probabilities(), b.log_probabilities()
    kl = divergence(log_a, log_b).numpy()
    same = (log_a.argmax(-1) == log_b.argmax(-1)).double().numpy()
    rows = torch.arange(len(kl))
    next_a, next_b = log_a[rows, a.targets].numpy(), log_b[rows, a.targets].numpy()
    gained = np.exp(next_b) - np.exp(next_a)
    return {
        "kl_each": numbers(kl),
        "predicted": a.predicted,
        "kl": number(kl.mean()),
        "kl_error": number(error(kl)),
        "kl_quantiles": numbers(np.quantile(kl, [0.5, 0.95, 0.99])),
        "kl_max": number(kl.max()),
        "kl_max_at": a.predicted[int(kl.argmax())],
        "agreement": number(same.mean()),
        "agreement_error": number(error(same)),
        "log_change": number(np.abs(next_a - next_b).mean()),
        "probability_change": number(gained.mean()),
        "probability_error": number(error(gained)),
        "probability_rms": number(np.sqrt((gained**2).mean())),
        "perplexity_a": number(np.exp(-next_a.mean())),
        "perplexity_b": number(np.exp(-next_b.mean())),
        "log_ratio": number((next_a - next_b).mean()),
        "log_ratio_error": number(error(next_a - next_b)),
    }


def dominant(a, b, layer):
    overlap, jaccard, change = [], [], []
    for m_a, m_b in zip(a.dominant(layer), b.dominant(layer)):
        shared = set(m_a) & set(m_b)
        overlap.append(len(shared) / max(len(m_a), len(m_b)))
        jaccard.append(len(shared) / len(set(m_a) | set(m_b)))
        change += [abs(m_b[i] - m_a[i]) / abs(m_a[i]) for i in shared]
    return np.mean(overlap), np.mean(jaccard), np.mean(change)


def layers(a, b):
    out, top_a, top_b = [], [], []
    for l in range(len(a.after)):
        log_a, log_b = a.lens(l), b.lens(l)
        top_a.append(log_a.argmax(-1))
        top_b.append(log_b.argmax(-1))
        x_a, x_b = a.after[l].double(), b.after[l].double()
        overlap, jaccard, change = dominant(a, b, l)
        out.append(
            {
                "kl": number(divergence(log_a, log_b).mean().item()),
                "agreement": number((top_a[l] == top_b[l]).double().mean().item()),
                "cosine": number(torch.cosine_similarity(x_a, x_b).mean().item()),
                "distance": number(((x_b - x_a).norm(dim=1) / x_a.norm(dim=1)).mean().item()),
                "overlap": number(overlap),
                "jaccard": number(jaccard),
                "coefficient_change": number(change),
            }
        )
    return out, saturation(torch.stack(top_a).T.tolist(), torch.stack(top_b).T.tolist())


def saturated(top):
    layer = len(top) - 1
    while layer > 0 and top[layer - 1] == top[-1]:
        layer -= 1
    return layer


def saturation(top_a, top_b):
    a, b = np.array([saturated(t) for t in top_a]), np.array([saturated(t) for t in top_b])
    return {"a": number(a.mean()), "b": number(b.mean()), "unchanged": number((a == b).mean())}


@torch.no_grad()
def promoted(parts, vector):
    return ranked(parts.unembedding @ (gain(parts) * vector), PROMOTED)


@torch.no_grad()
def values(a, b):
    """By layer, and the cosine of every neuron."""
    out = []
    for l in range(len(a.layers)):
        v_a, v_b = a.values(l), b.values(l)
        cosine = torch.cosine_similarity(v_a.double(), v_b.double())
        sample = [i * len(v_a) // min(SAMPLE, len(v_a)) for i in range(min(SAMPLE, len(v_a)))]
        shared = [len({*promoted(a, v_a[i])} & {*promoted(b, v_b[i])}) / PROMOTED for i in sample]
        out.append(
            {
                "cosine": number(cosine.mean().item()),
                "least": number(cosine.min().item()),
                "neuron": int(cosine.argmin()),
                "promoted": number(np.mean(shared)),
                "each": numbers(cosine),
            }
        )
    return out


def case(name, a, b, ids, window, stride, edits=(), by_layer=True):
    first, second = Reading(a, ids, window, stride), Reading(b, ids, window, stride, edits)
    out = {
        "name": name,
        "ids": ids,
        "window": window,
        "stride": stride,
        "set": [{"neuron": f"{l}:{i}", "value": v} for l, i, v in edits],
        "output": outputs(first, second),
    }
    if by_layer:
        out["layers"], out["saturation"] = layers(first, second)
    if by_layer and a is not b:
        out["values"] = values(a, b)
    print(name, {k: v for k, v in out["output"].items() if not isinstance(v, list)})
    return out


def main(path):
    (HERE / "compare").mkdir(exist_ok=True)
    llama, ids = tiny("llama"), random_ids(288, 71)
    many = ids + random_ids(288, 72)
    write_json(
        HERE / "compare" / "tiny.json",
        {
            "cases": [
                case("llama qwen2", llama, tiny("qwen2"), many, 16, 16),
                case("llama mistral", llama, tiny("mistral"), many, 16, 6),
                case("llama gpt_neox", llama, tiny("gpt_neox"), ids, 24, 24, by_layer=False),
                case("gpt2", *[tiny("gpt2")] * 2, many, 16, 16, ((0, 5, 3.0), (1, 40, 6.0))),
            ]
        },
    )
    smollm2 = Checkpoint(path)
    text = smollm2.ids((SMOLLM2 / "perplexity.txt").read_text(encoding="utf-8"))[:120]
    edits = ((12, 1033, 3.0), (20, 77, -4.0), (3, 5, 2.0))
    write_json(
        HERE / "compare" / "smollm2.json",
        {"cases": [case("smollm2", smollm2.parts, smollm2.parts, text, 48, 48, edits)]},
    )


if __name__ == "__main__":
    main(sys.argv[1])
