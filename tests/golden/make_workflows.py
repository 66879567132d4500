# SPDX-License-Identifier: BSD-3-Clause
"""The workflows of docs/experiments.md by transformers in double precision and hooks, on the
weights that the gguf package dequantises. Prompts, neurons and Python come from that page's own
commands.

usage: python make_workflows.py SMOLLM2.gguf GEMMA3.gguf
writes workflows/{smollm2,gemma3_270m}.json; README.md has the schema. Needs what make_gemma3.py
and make_directions.py need. Some minutes, 6 GB.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

import make_compare
import make_examples
import make_gemma3
import make_smollm2
from common import number, numbers, ranked, top_tokens, write_json
from make_capture import golden_rows, in_double
from make_families import Places
from make_heads import Heads

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "workflows"))
import inputs
from page import Page

OUT = HERE / "workflows"
MODELS = {"smollm2": make_smollm2.Checkpoint, "gemma3_270m": make_gemma3.Checkpoint}
ABLATED, TOP = 10, 5
LEAD = 1e-3  # a next token counts where its logit leads by more
BATCH = 25


class Subject:
    def __init__(self, name, path):
        self.name, self.path = name, path
        opened = MODELS[name](path)
        self.ids, self.tokenizer = opened.ids, opened.tokenizer
        self.model = in_double(opened.model)
        self.parts = Places(self.model)
        self.start = self.ids("")  # what stands before every text
        self.page = Page(name)

    def value(self, section, command, flag):
        return self.page.value(section, command, flag)


def rho(parts, layer, m):
    """What the norm behind an FFN divides by; 1 without one."""
    if parts.ffn == parts.second:
        return 1.0
    eps = parts.model.config.rms_norm_eps
    return ((parts.down(layer).weight @ m).pow(2).mean() + eps).sqrt()


def contributions(parts, records, token):
    """(L, F): what each sub-update adds to a logit at the last position."""
    x = records[-1]["after"][-1]
    row = parts.head.weight[token] * (parts.final_norm(x) / x)
    out = []
    for layer, record in enumerate(records):
        m = record["m"][-1]
        out.append(m * (parts.values(layer) @ row) / rho(parts, layer, m))
    return torch.stack(out)


@contextlib.contextmanager
def hooks(handles):
    handles = list(handles)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def zeroed(parts, neurons):
    by_layer = {}
    for layer, index in neurons:
        by_layer.setdefault(layer, []).append(index)

    def zero(indices):
        def hook(module, inputs):
            m = inputs[0].clone()
            m[..., indices] = 0.0
            return (m,) + inputs[1:]

        return hook

    return hooks(
        parts.down(layer).register_forward_pre_hook(zero(indices))
        for layer, indices in by_layer.items()
    )


def pushed(parts, layer, vector):
    def hook(module, inputs, output):
        first = output[0] if isinstance(output, tuple) else output
        return (first + vector,) + output[1:] if isinstance(output, tuple) else first + vector

    return hooks([parts.layers[layer].register_forward_hook(hook)])


def greedy(model, ids, count):
    """New tokens, up to an end token, or to one that does not lead."""
    out = []
    while len(out) < count and (not out or out[-1] not in END):
        z = model(torch.tensor([ids + out]), use_cache=False, logits_to_keep=1).logits[0, -1]
        best = z.topk(2)
        if best.values[0] - best.values[1] < LEAD:
            break
        out.append(int(best.indices[0]))
    assert out
    return out


END = (1, 2)  # an end token of either model


def neurons(subject):
    at = "which-neurons-make-it-say-x"
    parts, ids = subject.parts, subject.ids(subject.value(at, "attribute", "--prompt"))
    logits, records = parts.run(ids)
    token = ranked(logits[-1], 1)[0]
    each = contributions(parts, records, token)
    width = each.shape[1]
    order = ranked(each.flatten().abs(), 200)
    places = [(i // width, i % width) for i in order]
    positive = [p for p in places if each[p] > 0][:ABLATED]
    assert len(positive) == ABLATED
    with zeroed(parts, positive):
        without = parts.model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        text = greedy(parts.model, ids, 20)
    return {
        "ids": ids,
        "token": token,
        "logit": number(logits[-1, token].item()),
        "prediction": top_tokens(logits[-1], TOP),
        "largest": [[f"{l}:{i}", number(each[l, i].item())] for l, i in places[:20]],
        "zeroed": [f"{l}:{i}" for l, i in positive],
        "without": top_tokens(without, TOP),
        "text": text,
    }


def pairs_of(subject):
    lines = (HERE.parent.parent / "examples/happy_sad.jsonl").read_text().splitlines()
    return [[subject.ids(json.loads(x)[k]) for k in ("positive", "negative")] for x in lines]


def direction(subject):
    at = "a-steering-vector-from-ten-pairs"
    steer = subject.value(at, "generate", "--steer").split(":")[1]
    layer, strength = int(steer.split("=")[0]), float(steer.split("=")[1])
    records = [[subject.parts.run(ids)[1] for ids in pair] for pair in pairs_of(subject)]
    separation, push = [], None
    for l in range(len(subject.parts.layers)):
        d = np.stack([(a[l]["after"][-1] - b[l]["after"][-1]).numpy() for a, b in records])
        others = [np.delete(d, i, 0).mean(0) for i in range(len(d))]
        along = np.array([o @ x / np.linalg.norm(o) for o, x in zip(others, d)])
        separation.append(
            {
                "length": number(np.linalg.norm(d.mean(0))),
                "held_out": number((along > 0).mean()),
                "margin": number(along.mean() / along.std()),
            }
        )
        if l == layer:
            push = torch.from_numpy(d.mean(0))
    ids = subject.ids(subject.value(at, "generate", "--prompt"))
    count = int(subject.value(at, "generate", "-n"))
    plain = greedy(subject.model, ids, count)
    with pushed(subject.parts, layer, strength * push):
        return {
            "ids": ids,
            "separation": separation,
            "plain": plain,
            "steered": greedy(subject.model, ids, count),
        }


def last_residuals(subject, ids):
    """{array: (1, D)} of the last position, under the names of a capture."""
    _, records = subject.parts.run(ids)
    out = {"embedding": records[0]["entered"][-1:]}
    out.update({f"after.{l}": r["after"][-1:] for l, r in enumerate(records)})
    return {name: x.numpy() for name, x in out.items()}


def arrays(subject):
    """Rows of some prompts; and what the page's Python prints of all, from files of the kind that
    it reads, made of transformers' arrays."""
    at = "activations-as-arrays-and-a-probe"
    write, load, probe = subject.page.python(at)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(write, {})
        prompts = [json.loads(x) for x in Path("prompts.jsonl").read_text().splitlines()]
        ids = [subject.ids(p["prompt"]) for p in prompts]
        rows = [last_residuals(subject, i) for i in ids]
        whole = {n: np.concatenate([r[n] for r in rows]).astype(np.float32) for n in rows[0]}
        whole["sequence"] = np.arange(len(rows), dtype=np.int32)
        os.mkdir("last")
        save_file(whole, "last/00000.safetensors")
        sequences = [{"metadata": {"label": p["label"]}} for p in prompts]
        Path("last/manifest.json").write_text(
            json.dumps({"files": [{"name": "00000.safetensors"}], "sequences": sequences})
        )
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(load + probe, {})
    layers = len(subject.parts.layers)
    return {
        "prompts": len(prompts),
        "rows": {str(s): golden_rows(rows[s], layers) for s in (0, len(rows) - 1)},
        "printed": said.getvalue().splitlines(),
    }


def examples(subject, ids):
    at = "what-does-this-neuron-fire-on"
    names = subject.value(at, "examples", "default").split(",")
    places = [tuple(map(int, n.split(":"))) for n in names]
    make_examples.APART, make_examples.CONTEXT = 12, 12
    m = make_examples.coefficients(subject, places, ids)
    found = [make_examples.golden_of(p, [ids], [m[:, i]]) for i, p in enumerate(places)]
    return {n["neuron"]: {k: n[k] for k in ("positions", "over", "positive", "largest", "smallest")}
            for n in found}


def compare(subject, other, ids):
    a, b = (make_compare.Reading(s.parts, ids, len(ids), len(ids)) for s in (subject, other))
    layers, saturation = make_compare.layers(a, b)
    cosines = [
        torch.cosine_similarity(subject.parts.values(l), other.parts.values(l))
        for l in range(len(layers))
    ]
    for layer, cosine in zip(layers, cosines):
        layer["values"] = {"cosine": number(cosine.mean()), "least": number(cosine.min())}
    output = make_compare.outputs(a, b)
    del output["kl_each"], output["predicted"]
    return {"output": output, "layers": layers, "saturation": saturation}


def maps_of(subject):
    """torch.load reads the lens that stands for a published one."""
    with tempfile.TemporaryDirectory() as folder:
        inputs.write_lens(subject.name, Path(folder) / "lens.pt")
        file = torch.load(Path(folder) / "lens.pt", weights_only=True)
    return {layer: j.double() for layer, j in file["J"].items()}


def lens(subject, ids):
    parts, maps = subject.parts, maps_of(subject)
    logits, records = parts.run(ids)
    final = torch.log_softmax(logits, -1)

    def distance(residual):
        here = torch.log_softmax(parts.lens(residual), -1)
        return {
            "kl": number((final.exp() * (final - here)).sum(-1).mean()),
            "agreement": number((final.argmax(-1) == here.argmax(-1)).double().mean()),
        }

    prompt = subject.ids(subject.value("a-published-lens", "trace", "--prompt"))
    _, traced = parts.run(prompt)
    return {
        "layers": [
            {
                "layer": l,
                "plain": distance(records[l]["after"]),
                "lens": distance(records[l]["after"] @ j.T),
                "after": top_tokens(parts.lens(j @ traced[l]["after"][-1]), TOP),
            }
            for l, j in maps.items()
        ]
    }


def page(subject):
    """What the page of a trace shows: of the last position and of the whole prompt."""
    ids = subject.ids(subject.value("a-page-to-show", "trace", "--prompt"))
    _, records = subject.parts.run(ids)
    best = lambda x: [
        {k: t[k] for k in ("id", "probability")} for t in top_tokens(subject.parts.lens(x), 2)
    ]
    return {
        "ids": ids,
        "last": [{"before": best(r["before"][-1]), "after": best(r["after"][-1])} for r in records],
    }


def heads(subject):
    at = "which-head-moves-the-answer"
    ids = subject.ids(subject.value(at, "attribute", "--prompt"))
    layer, head = map(int, subject.value(at, "attribute", "--head").split(":"))
    recorded = Heads(subject.model)
    logits, records = recorded.run(ids)
    token = ranked(logits[-1], 1)[0]
    last = len(ids) - 1
    layers = range(len(records))
    kv = subject.model.config.num_key_value_heads
    a, b = subject.value(at, "patch", "--tokens").split(",")
    (a,), (b,) = (subject.ids(t)[len(subject.start) :] for t in (a, b))
    difference = lambda z: number((z[-1, a] - z[-1, b]).item())
    without = lambda l, h: difference(recorded.run(ids, without=(l, h))[0])
    return {
        "token": token,
        "tokens": [a, b],
        "whole": difference(logits),
        "without": [[without(l, h) for h in range(recorded.count)] for l in layers],
        "heads": [numbers(recorded.heads(l, records, last, token)) for l in layers],
        "head": f"{layer}:{head}",
        "weights": numbers(records[layer]["pattern"][head, last]),
        "sources": numbers(recorded.sources(layer, head, records, last, kv, token)),
    }


def prompts(subject):
    at = "a-thousand-prompts"
    write, *_ = subject.page.python(at)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(write, {})
        (file,) = Path(".").glob("*.jsonl")
        texts = [json.loads(x)["prompt"] for x in file.read_text().splitlines()]
    ids, next_tokens = [subject.ids(text) for text in texts], [None] * len(texts)
    for length in {len(i) for i in ids}:
        those = [n for n, i in enumerate(ids) if len(i) == length]
        for at in range(0, len(those), BATCH):
            some = those[at : at + BATCH]
            batch = torch.tensor([ids[n] for n in some])
            z = subject.model(batch, use_cache=False, logits_to_keep=1).logits[:, -1]
            for n, best, lead in zip(some, z.argmax(-1).tolist(), leads(z)):
                if lead > LEAD:
                    next_tokens[n] = best
    return {"next": next_tokens}


def leads(logits):
    best = logits.topk(2, dim=-1).values
    return (best[:, 0] - best[:, 1]).tolist()


@torch.no_grad()
def golden(name, path):
    subject = Subject(name, path)
    out = {}

    def add(key, value):
        out[key] = value
        print(name, key, json.dumps(value)[:200], flush=True)

    text = subject.ids(inputs.text(name))
    add("text", {"ids": text})
    add("neurons", neurons(subject))
    add("direction", direction(subject))
    add("arrays", arrays(subject))
    add("examples", examples(subject, text))
    add("page", page(subject))
    add("lens", lens(subject, text))
    add("heads", heads(subject))
    add("prompts", prompts(subject))
    with tempfile.TemporaryDirectory() as folder:
        inputs.write_coarser(path, Path(folder) / Path(path).name)
        other = Subject(name, Path(folder) / Path(path).name)
    add("compare", compare(subject, other, text))
    write_json(OUT / f"{name}.json", out)


def main():
    torch.set_num_threads(2)
    OUT.mkdir(exist_ok=True)
    for name, path in zip(MODELS, sys.argv[1:3]):
        golden(name, path)


if __name__ == "__main__":
    main()
