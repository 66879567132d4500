# SPDX-License-Identifier: BSD-3-Clause
"""What the golden makers share: a probe that records a transformers model, rankings, and a JSON
writer."""

import json
import math
from pathlib import Path

import torch

DOMINANT = 10


def number(value):
    """A float with 9 significant digits, enough to give back the same float32."""
    if not math.isfinite(value):
        raise ValueError(f"a golden value is {value}")
    return float(f"{value:.9g}")


def numbers(values):
    return [number(v) for v in torch.as_tensor(values).flatten().tolist()]


def write_json(path, document):
    """One key or list element a line down to depth 3, then compact: readable, and small in a
    diff."""
    Path(path).write_text(pretty(document, 3) + "\n", encoding="utf-8")


def pretty(node, depth, indent=""):
    nested = isinstance(node, (dict, list)) and any(
        isinstance(v, (dict, list)) for v in (node.values() if isinstance(node, dict) else node)
    )
    if isinstance(node, dict) and depth > 0 and (nested or depth > 2):
        lines = [
            f"{indent} {json.dumps(k)}: {pretty(v, depth - 1, indent + ' ')}"
            for k, v in node.items()
        ]
        return "{\n" + ",\n".join(lines) + "\n" + indent + "}"
    if isinstance(node, list) and depth > 0 and nested:
        return (
            "[\n"
            + ",\n".join(f"{indent} {pretty(v, depth - 1, indent + ' ')}" for v in node)
            + "\n"
            + indent
            + "]"
        )
    return json.dumps(node, ensure_ascii=False, separators=(",", ":"))


def ranked(scores, k, largest=True):
    """Indices of the k largest (or smallest) scores, best first; equal scores by index."""
    return torch.argsort(scores, descending=largest, stable=True)[:k].tolist()


def top_tokens(logits, k):
    """TOK records of a vector of logits (or log-probabilities): softmax over the whole
    vocabulary."""
    probabilities = torch.softmax(logits.double(), 0)
    return [
        {"id": i, "probability": number(probabilities[i].item()), "logit": number(logits[i].item())}
        for i in ranked(logits, k)
    ]


def dominant(m, norms, k=DOMINANT):
    """The k sub-updates with the largest |m_i| * |v_i|."""
    dominance = m.abs() * norms
    return [
        {
            "neuron": i,
            "coefficient": number(m[i].item()),
            "norm": number(norms[i].item()),
            "dominance": number(dominance[i].item()),
        }
        for i in ranked(dominance, k)
    ]


def smallest_gap(scores, k):
    """Smallest relative gap between neighbours among the k+1 best: a golden ranking must not hang
    on rounding."""
    best = scores.sort(descending=True).values[: k + 1].double()
    return ((best[:-1] - best[1:]) / best.abs().clamp(min=1e-3)[:-1]).min().item()


class Parts:
    """Where a transformers causal language model keeps what the goldens are about."""

    def __init__(self, model):
        self.model = model
        kind = model.config.model_type
        self.parallel = kind == "gpt_neox" and model.config.use_parallel_residual
        if kind == "gpt2":
            base = model.transformer
            self.layers, self.final_norm = base.h, base.ln_f
            self.names = ("ln_2", "attn", "mlp.c_proj")
        elif kind == "gpt_neox":
            base = model.gpt_neox
            self.layers, self.final_norm = base.layers, base.final_layer_norm
            self.names = ("post_attention_layernorm", "attention", "mlp.dense_4h_to_h")
        else:
            base = model.model
            self.layers, self.final_norm = base.layers, base.norm
            self.names = ("post_attention_layernorm", "self_attn", "mlp.down_proj")
        self.unembedding = model.get_output_embeddings().weight

    def down(self, layer):
        return self.layers[layer].get_submodule(self.names[2])

    def values(self, layer):
        """The value vectors, (F, D)."""
        weight = self.down(layer).weight
        return weight if self.model.config.model_type == "gpt2" else weight.T

    def lens(self, residual):
        return self.final_norm(residual) @ self.unembedding.T

    def run(self, ids):
        return Probe(self).run(ids)

    def edited(self, ids, layer, index, value, positions):
        """Logits (T, V) with one coefficient set at `all` positions, or at the `last` one only."""
        with Edit(self, layer, index, value, positions), torch.no_grad():
            return self.model(torch.tensor([ids]), use_cache=False).logits[0]


def first(output):
    return output[0] if isinstance(output, tuple) else output


class Probe:
    """Records before, after, m and the FFN's output of every layer, (T, .) each, in one forward
    pass."""

    def __init__(self, parts):
        self.parts = parts
        self.records = [{} for _ in parts.layers]

    def hooks(self, layer):
        block, record = self.parts.layers[layer], self.records[layer]
        norm, attention, down = (block.get_submodule(n) for n in self.parts.names)

        def keep(key, pick):
            def hook(module, inputs, *output):
                record[key] = pick(inputs, *output).detach()[0].clone()

            return hook

        yield norm.register_forward_pre_hook(keep("before", lambda i: i[0]))
        yield attention.register_forward_hook(keep("attention", lambda i, o: first(o)))
        yield down.register_forward_pre_hook(keep("m", lambda i: i[0]))
        yield block.mlp.register_forward_hook(keep("ffn", lambda i, o: first(o)))
        yield block.register_forward_hook(keep("after", lambda i, o: first(o)))

    def run(self, ids):
        """Logits (T, V) and the records of `ids`."""
        handles = [h for layer in range(len(self.records)) for h in self.hooks(layer)]
        with torch.no_grad():
            logits = self.parts.model(torch.tensor([ids]), use_cache=False).logits[0]
        for handle in handles:
            handle.remove()
        for record in self.records:
            if self.parts.parallel:
                # `before` above is the block's input there: both branches read it.
                record["before"] = record["before"] + record["attention"]
            difference = (record["before"] + record["ffn"] - record["after"]).abs().max()
            assert difference <= 1e-4 * record["after"].abs().max(), difference
        return logits, self.records


def greedy(logits_of, ids, count):
    """`count` tokens, each the argmax of `logits_of(ids)` at the last position; recomputes the
    prefix each time."""
    ids, out = list(ids), []
    for _ in range(count):
        out.append(int(logits_of(ids)[-1].argmax()))
        ids.append(out[-1])
    return out


class Edit:
    """Context in which coefficient `index` of `layer` is `value` at all positions, or at the last
    one only."""

    def __init__(self, parts, layer, index, value, positions):
        self.module, self.index, self.value, self.positions = (
            parts.down(layer),
            index,
            value,
            positions,
        )

    def hook(self, module, inputs):
        m = inputs[0].clone()
        if self.positions == "all":
            m[..., self.index] = self.value
        else:
            m[:, -1, self.index] = self.value
        return (m,) + inputs[1:]

    def __enter__(self):
        self.handle = self.module.register_forward_pre_hook(self.hook)

    def __exit__(self, *_):
        self.handle.remove()
