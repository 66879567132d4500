# SPDX-License-Identifier: BSD-3-Clause
"""Golden data of attribution: what each part of a residual adds to a logit, by torch in float64.

usage: python make_attribution.py [MODEL.gguf]     writes attribution/; README.md has the schema

Each part goes through the final norm by itself, with the mean taken out of the part and the scale
of the whole residual, and meets the token's row of the unembedding then. (xlens folds the norm into
the row once, and multiplies that with the parts.) Without MODEL.gguf only the tiny checkpoints.
"""

import json
import sys
from pathlib import Path

import torch
import transformers

from common import Parts, Probe, number, numbers, ranked, write_json
from make_wikilm import Wikilm

HERE = Path(__file__).parent
OUT = HERE / "attribution"
TINY = ("gpt2", "llama", "qwen2", "qwen3", "gpt_neox", "gpt_neox_sequential")
TINY_WIKILM = ("wikilm", "wikilm_final_norm")
SMOLLM2 = ("capital", "french")
SHOWN = 10


class Transformers:
    """A transformers model; `run` gives logits (T, V), the embedding (T, D), records."""

    def __init__(self, model):
        self.parts = Parts(model.double().eval())

    def run(self, ids):
        kept = {}
        handle = self.parts.layers[0].register_forward_pre_hook(
            lambda module, args, kwargs: kept.update(
                x=(args[0] if args else kwargs["hidden_states"]).detach()[0].clone()
            ),
            with_kwargs=True,
        )
        logits, records = Probe(self.parts).run(ids)
        handle.remove()
        return logits, kept["x"], records

    def values(self, layer):
        return self.parts.values(layer)

    def row(self, token):
        return self.parts.unembedding[token]

    @property
    def final_norm(self):
        norm = self.parts.final_norm
        eps = getattr(norm, "variance_epsilon", None)
        if eps is not None:
            return {"centred": False, "gain": norm.weight, "bias": None, "eps": eps}
        return {"centred": True, "gain": norm.weight, "bias": norm.bias, "eps": norm.eps}

    def biases(self, layer):
        """Output biases of attention and FFN, None where there is none."""
        attention = self.parts.layers[layer].get_submodule(self.parts.names[1])
        outputs = [getattr(attention, n, None) for n in ("c_proj", "o_proj", "dense")]
        output = next(o for o in outputs if o is not None)
        return output.bias, self.parts.down(layer).bias


class WikilmParts:
    """make_wikilm.py's model; scores are log-probabilities."""

    def __init__(self, folder):
        self.model = Wikilm(folder)
        self.model.weights = {k: w.double() for k, w in self.model.weights.items()}
        self.model.softmax = self.model.softmax.double()
        positions = self.model.positions
        self.model.positions = lambda count: positions(count).double()

    def run(self, ids):
        scores, records = self.model.run(ids)
        return scores, self.model.embed(ids), records

    def values(self, layer):
        return self.model.values(layer)

    def row(self, token):
        """What multiplies the normed residual in log p(w), up to the softmaxes' denominators."""
        bounds, softmax = self.model.bounds, self.model.softmax
        cluster = next(k for k, high in enumerate(bounds[1:]) if token < high)
        if cluster == 0:
            return softmax.head.weight[token]
        tail = softmax.tail[cluster - 1]
        row = tail[1].weight[token - bounds[cluster]] @ tail[0].weight
        return row + softmax.head.weight[bounds[1] + cluster - 1]

    @property
    def final_norm(self):
        if not self.model.config["final_norm"]:
            return None
        gain, bias = (self.model.get(f"layer_norm.{n}") for n in ("weight", "bias"))
        eps = self.model.config["layer_norm_eps"]
        return {"centred": True, "gain": gain, "bias": bias, "eps": eps}

    def biases(self, layer):
        at = f"layers.{layer}."
        return self.model.get(at + "self_attn.out_proj.bias"), self.model.get(at + "fc2.bias")


def normed_part(norm, part, whole):
    """What `part` adds to norm(whole), bias aside. Exact: the parts of `whole` sum to it."""
    if norm is None:
        return part
    centre = lambda x: x - x.mean(-1, keepdim=True) if norm["centred"] else x
    scale = (centre(whole).pow(2).mean() + norm["eps"]).sqrt()
    return centre(part) / scale * norm["gain"]


def attribution(subject, seen, position, token, against):
    scores, embedding, records = seen
    row = subject.row(token) - (0 if against is None else subject.row(against))
    logit = scores[position, token] - (0 if against is None else scores[position, against])
    whole, norm = records[-1]["after"][position], subject.final_norm
    of = lambda part: (normed_part(norm, part, whole) @ row)
    of_bias = lambda bias: 0.0 if bias is None else of(bias).item()

    residual, attention, ffn, biases, sub_updates = embedding[position], [], [], [0.0, 0.0], []
    for layer, record in enumerate(records):
        attention_bias, ffn_bias = map(of_bias, subject.biases(layer))
        biases[0] += attention_bias
        biases[1] += ffn_bias
        attention.append(of(record["before"][position] - residual).item() - attention_bias)
        ffn.append(of(record["ffn"][position]).item() - ffn_bias)
        m = record["m"][position]
        each = m * of(subject.values(layer))
        for i in ranked(each.abs(), SHOWN):
            sub_updates.append((f"{layer}:{i}", m[i].item(), each[i].item()))
        residual = record["after"][position]
    norm_bias = 0.0 if norm is None or norm["bias"] is None else (norm["bias"] @ row).item()
    parts = [of(embedding[position]).item(), *attention, *ffn, *biases, norm_bias]
    sub_updates.sort(key=lambda s: -abs(s[2]))
    return {
        "position": position,
        "token": token,
        **({} if against is None else {"against": against}),
        "logit": number(logit.item()),
        "embedding": number(parts[0]),
        "attention": numbers(attention),
        "ffn": numbers(ffn),
        "attention_bias": number(biases[0]),
        "ffn_bias": number(biases[1]),
        "final_norm_bias": number(norm_bias),
        "rest": number(logit.item() - sum(parts)),
        "sub_updates": [
            {"neuron": n, "coefficient": number(m), "contribution": number(c)}
            for n, m, c in sub_updates[:SHOWN]
        ],
    }


def write(name, subject, ids, adaptive=False):
    seen = subject.run(ids)
    last, early = len(ids) - 1, len(ids) // 3
    best, second = ranked(seen[0][last], 2)
    end, middle = seen[0].shape[1] - 1, seen[0].shape[1] // 2  # wikilm: of different tails
    cases = [
        (last, best, None),
        (last, best, second),
        (early, ranked(seen[0][early], 1)[0], None),
        (early, end, None),
        (last, middle, end),
    ]
    golden = {"name": name, "ids": ids, "cases": [attribution(subject, seen, *c) for c in cases]}
    for case in golden["cases"] if not adaptive else ():
        # transformers' RMS norms compute in float32, whatever they are given.
        assert abs(case["rest"]) < 1e-5 * max(1, abs(case["logit"])), case["rest"]
    write_json(OUT / f"{name}.json", golden)
    print(name, [(c["logit"], c["rest"]) for c in golden["cases"]])


@torch.no_grad()
def main():
    torch.set_num_threads(2)
    OUT.mkdir(exist_ok=True)
    for name in TINY + TINY_WIKILM:
        folder = HERE / "models" / name
        ids = json.loads((folder / "golden.json").read_text())["ids"]
        if name in TINY_WIKILM:
            write(name, WikilmParts(folder / "hf"), ids, adaptive=True)
            continue
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder / "hf", dtype=torch.float32, attn_implementation="eager"
        )
        write(name, Transformers(model), ids)
    if len(sys.argv) < 2:
        return
    path = Path(sys.argv[1])
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    )
    for name in SMOLLM2:
        ids = json.loads((HERE / "smollm2" / f"{name}.json").read_text())["ids"]
        write(f"smollm2_{name}", Transformers(model), ids)


if __name__ == "__main__":
    main()
