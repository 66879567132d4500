# SPDX-License-Identifier: BSD-3-Clause
"""Golden data of attention heads, by transformers' eager attention: queries, keys, weights and
outputs of heads, what each head and each position that it reads adds to a logit, and what is left
without a head.

usage: python make_heads.py [SMOLLM2.gguf GEMMA3.gguf]     writes heads/; README.md has the schema

Without the two files only the tiny checkpoints. A head goes through the output matrix, the norm
behind it and the final norm by itself, at the scale that they have there.
"""

import json
import sys
from pathlib import Path

import torch
import transformers

from common import first, number, ranked, write_json

HERE = Path(__file__).parent
OUT = HERE / "heads"
ATTENTION = {  # where a layer's attention and its output matrix are
    "gpt2": ("transformer", "h", "attn", "c_proj", "ln_f"),
    "bloom": ("transformer", "h", "self_attention", "dense", "ln_f"),
}
USUAL = ("model", "layers", "self_attn", "o_proj", "norm")
BEHIND = ("gemma2", "gemma3_text")  # post_attention_layernorm stands behind attention
TINY = (
    "models/gpt2",
    "models/llama",
    "families/bloom_six_heads",
    "families/gemma2",
    "families/granite_bias",
    "families/gpt_oss",
    "families/falcon_new",
    "families/stablelm_parallel",
)


class Heads:
    """A transformers model whose heads are recorded."""

    def __init__(self, model):
        self.model = model.eval()
        kind = model.config.model_type
        base, layers, self.attention, self.output, norm = ATTENTION.get(kind, USUAL)
        if kind == "falcon":
            base, layers, self.attention, self.output, norm = ATTENTION["bloom"]
        base = getattr(model, base)
        self.layers, self.final_norm = getattr(base, layers), getattr(base, norm)
        self.behind = kind in BEHIND
        self.multiplier = getattr(model.config, "residual_multiplier", 1.0)
        self.row_scale = 1.0 / getattr(model.config, "logits_scaling", 1.0)
        self.unembedding = model.get_output_embeddings().weight
        self.count = model.config.num_attention_heads
        self.last_logits = {} if kind in ("gpt2", "bloom", "falcon") else {"logits_to_keep": 1}

    def projection(self, layer):
        return getattr(getattr(self.layers[layer], self.attention), self.output)

    def matrix(self, layer):
        """(D, H·d)"""
        projection = self.projection(layer)
        conv = type(projection).__name__ == "Conv1D"
        return projection.weight.T if conv else projection.weight

    def run(self, ids, without=None):
        """Logits (T or 1, V) and of each layer a record; `without` (layer, head) is zeroed."""
        records = [{} for _ in self.layers]
        handles = []

        def keep_outputs(layer):
            def hook(module, inputs):
                z = inputs[0].clone()
                if without is not None and without[0] == layer:
                    size = z.shape[-1] // self.count
                    z[..., without[1] * size : (without[1] + 1) * size] = 0
                records[layer]["outputs"] = z.detach()[0].clone()
                return (z,) + inputs[1:]

            return hook

        def keep(layer, key):
            def hook(module, inputs, output):
                records[layer][key] = first(output).detach()[0].clone()

            return hook

        for layer, block in enumerate(self.layers):
            projection = self.projection(layer)
            handles.append(projection.register_forward_pre_hook(keep_outputs(layer)))
            handles.append(projection.register_forward_hook(keep(layer, "projected")))
            handles.append(block.register_forward_hook(keep(layer, "after")))
        module = sys.modules[type(self.model).__module__]
        eager = getattr(module, "eager_attention_forward", None)
        if eager is not None:
            places = {id(getattr(b, self.attention)): i for i, b in enumerate(self.layers)}

            def recorded(attention, query, key, value, *more, **named):
                rows = lambda x: x[0].transpose(0, 1).flatten(1).detach().clone()
                records[places[id(attention)]].update(
                    queries=rows(query), keys=rows(key), values=rows(value)
                )
                return eager(attention, query, key, value, *more, **named)

            module.eager_attention_forward = recorded
        # Logits of the last position alone: Gemma has 262,144 of each.
        found = self.model(
            torch.tensor([ids]), use_cache=False, output_attentions=True, **self.last_logits
        )
        for handle in handles:
            handle.remove()
        if eager is not None:
            module.eager_attention_forward = eager
        for record, weights in zip(records, found.attentions):
            record["pattern"] = weights[0]
        return found.logits[0], records

    def adds(self, layer, part, records, position, token):
        """What `part` (D) of a layer's attention, before the norm behind it, adds to a logit."""
        record = records[layer]
        if self.behind:
            whole = record["projected"][position]
            part = part * (self.layers[layer].post_attention_layernorm(whole) / whole)
        x = records[-1]["after"][position]
        part = part * self.multiplier
        norm = self.final_norm
        if isinstance(norm, torch.nn.LayerNorm):
            centred = x - x.mean()
            part = (part - part.mean()) / (centred.pow(2).mean() + norm.eps).sqrt() * norm.weight
        else:
            part = part * (norm(x) / x)
        row = self.unembedding[token].double()
        return (row @ part.double()).item() * self.row_scale

    def heads(self, layer, records, position, token):
        """(H): of each head."""
        z, matrix = records[layer]["outputs"][position], self.matrix(layer)
        size = len(z) // self.count
        parts = [slice(h * size, (h + 1) * size) for h in range(self.count)]
        return [self.adds(layer, matrix[:, s] @ z[s], records, position, token) for s in parts]

    def sources(self, layer, head, records, position, kv_heads, token):
        """(S): of each position that a head reads."""
        record, matrix = records[layer], self.matrix(layer)
        size = record["outputs"].shape[1] // self.count
        group = self.count // kv_heads
        kv = slice(head // group * size, (head // group + 1) * size)
        own = matrix[:, head * size : (head + 1) * size]
        weights = record["pattern"][head, position]
        return [
            self.adds(
                layer, own @ (weights[s] * record["values"][s, kv]), records, position, token
            )
            for s in range(position + 1)
        ]


def rounded(values):
    return [float(f"{v:.6g}") for v in torch.as_tensor(values).flatten().tolist()]


def layer_golden(layer, record, position):
    pattern = record["pattern"][:, position, : position + 1]
    golden = {"layer": layer, "pattern": [rounded(p) for p in pattern]}
    for key in ("queries", "keys", "outputs"):
        if key in record:
            golden[key] = rounded(record[key][position])
    return golden


def golden_of(name, subject, ids, layers, positions, removed, source):
    logits, records = subject.run(ids)
    last = len(ids) - 1
    token = ranked(logits[-1], 1)[0]
    without = subject.run(ids, removed)[0][-1]
    best = ranked(without, 8)
    golden = {
        "name": name,
        "ids": ids,
        "positions": [
            {
                "position": p,
                "layers": [layer_golden(layer, records[layer], p) for layer in layers],
            }
            for p in positions
        ],
        "token": token,
        "heads": [
            rounded(subject.heads(layer, records, last, token))
            for layer in range(len(records))
        ],
        "without": {
            "head": "{}:{}".format(*removed),
            "logits": [{"id": i, "logit": number(without[i].item())} for i in best],
            "changed": number((without - logits[-1]).abs().max().item()),
        },
    }
    if "values" in records[0]:
        kv = records[0]["values"].shape[1] // (records[0]["queries"].shape[1] // subject.count)
        found = subject.sources(*source, records, last, kv, token)
        golden["sources"] = {
            "head": "{}:{}".format(*source),
            "adds": rounded(found),
        }
    write_json(OUT / f"{name.split('/')[-1]}.json", golden)
    print(name, "without", golden["without"]["head"], "changed", golden["without"]["changed"])


def write_tiny():
    for name in TINY:
        folder = HERE / name
        ids = json.loads((folder / "golden.json").read_text())["ids"]
        more = {}
        if "gpt_oss" in name:
            more["quantization_config"] = transformers.Mxfp4Config(dequantize=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder / "hf", dtype=torch.float32, attn_implementation="eager", **more
        )
        subject = Heads(model)
        last = len(ids) - 1
        layers = range(len(subject.layers))
        removed, source = (layers[-1], 1), (layers[0], subject.count - 1)
        golden_of(name, subject, ids, layers, (last - 7, last), removed, source)


def write_real(smollm2, gemma3):
    from make_gemma3 import Checkpoint  # it needs sentencepiece besides

    path = Path(smollm2)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    )
    ids = json.loads((HERE / "smollm2" / "french.json").read_text())["ids"]
    golden_of("smollm2", Heads(model), ids, (0, 13, 29), (len(ids) - 1,), (20, 4), (20, 4))
    prompts = json.loads((HERE / "gemma3_270m" / "golden.json").read_text())["prompts"]
    ids = next(p["ids"] for p in prompts if p["name"] == "window")
    model = Checkpoint(gemma3).model
    model.set_attn_implementation("eager")
    golden_of("gemma3_270m", Heads(model), ids, (4, 5), (len(ids) - 1,), (11, 2), (11, 2))


@torch.no_grad()
def main():
    torch.set_num_threads(2)
    OUT.mkdir(exist_ok=True)
    write_tiny()
    if len(sys.argv) > 2:
        write_real(*sys.argv[1:])


if __name__ == "__main__":
    main()
