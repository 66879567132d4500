# SPDX-License-Identifier: BSD-3-Clause
"""Tiny `wikilm` checkpoints: fairseq's transformer_lm with adaptive input and softmax (Baevski and
Auli, 2018).

usage: python make_wikilm.py
Writes models/wikilm/ and models/wikilm_final_norm/; README.md has the schema.

No transformers class exists, so the folder's form is fixed here. D width, F inner width,
V vocabulary, c_0 = 0 < c_1 < .. < c_n = V the cluster bounds, d_i = D / factor^i the width of
cluster i (0-based), E_i its rows, P_i its projection.

config.json: model_type wikilm, vocab_size V, hidden_size D, intermediate_size F, num_hidden_layers,
num_attention_heads, max_position_embeddings, adaptive_cutoffs [c_1, ..] with or without V at the
end, adaptive_factor, final_norm, layer_norm_eps, scale_embedding, pad_token_id.

model.safetensors: fairseq's names, each with "decoder." before it; every Linear is (out, in):
  embed_tokens.embeddings.{i}.0.weight     (c_{i+1} - c_i, d_i)  E_i, tokens c_i .. c_{i+1} - 1
  embed_tokens.embeddings.{i}.1.weight     (D, d_i)              P_i; cluster 0 has one too
  layers.{l}.self_attn_layer_norm.{weight,bias}          (D)     before attention
  layers.{l}.self_attn.{q,k,v,out}_proj.{weight,bias}    (D, D), (D)
  layers.{l}.final_layer_norm.{weight,bias}              (D)     before the FFN
  layers.{l}.fc1.{weight,bias}                           (F, D), (F)
  layers.{l}.fc2.{weight,bias}             (D, F), (D)           value vector i is column i
  layer_norm.{weight,bias}                 (D)                   only where final_norm is true
  adaptive_softmax.head.class_proj.weight  (n - 1, D)            one row a tail cluster
A fairseq state dict also holds tied copies and leftovers, to be ignored (models/wikilm has them):
  adaptive_softmax.head.word_proj.weight = E_0, adaptive_softmax.tail.{i}.0.weight = P_{i+1},
  adaptive_softmax.tail.{i}.2.weight = E_{i+1}, embed_positions._float_tensor, version

Token w of cluster i at position t:  x = sqrt(D) P_i E_i[w - c_i] + position(t)
    (without sqrt(D) where scale_embedding is false)
position(t), t from 0:  n = t + pad_token_id + 1, w_j = 10000^(-j / (D/2 - 1)), j = 0 .. D/2 - 1:
    [sin(n w_0) .. sin(n w_{D/2-1}), cos(n w_0) .. cos(n w_{D/2-1})]
Block:  x += attention(norm(x));  x += fc2 relu(fc1 norm(x)).   h = final norm of x if there is one.
log p(w), w < c_1:  log_softmax of the head [E_0; class_proj] h   (E_0 itself, without P_0)
log p(w), w of cluster i >= 1:
    log_softmax(head)[c_1 + i - 1] + log_softmax(E_i P_i^T h)[w - c_i]
"""

import json
import math
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

import wikilm_gguf
from common import write_json
from model_golden import golden_of, random_ids

HERE = Path(__file__).parent
BASE = dict(
    model_type="wikilm",
    vocab_size=300,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=64,
    layer_norm_eps=1e-5,
    scale_embedding=True,
    pad_token_id=1,
)
CHECKPOINTS = {
    "wikilm": dict(BASE, adaptive_cutoffs=[60, 160], adaptive_factor=4, final_norm=False),
    "wikilm_final_norm": dict(
        BASE, adaptive_cutoffs=[50, 150, 300], adaptive_factor=2, final_norm=True
    ),
}


def bounds_of(config):
    cutoffs, vocabulary = config["adaptive_cutoffs"], config["vocab_size"]
    return [0, *cutoffs] if cutoffs[-1] == vocabulary else [0, *cutoffs, vocabulary]


def shapes(config):
    """{name: shape} of what a checkpoint must hold."""
    width, inner, bounds = config["hidden_size"], config["intermediate_size"], bounds_of(config)
    out = {"adaptive_softmax.head.class_proj.weight": (len(bounds) - 2, width)}
    for i, (low, high) in enumerate(zip(bounds, bounds[1:])):
        narrow = width // config["adaptive_factor"] ** i
        out[f"embed_tokens.embeddings.{i}.0.weight"] = (high - low, narrow)
        out[f"embed_tokens.embeddings.{i}.1.weight"] = (width, narrow)
    norms = ["layer_norm"] if config["final_norm"] else []
    for layer in range(config["num_hidden_layers"]):
        at = f"layers.{layer}."
        norms += [at + "self_attn_layer_norm", at + "final_layer_norm"]
        linears = {f"self_attn.{n}_proj": (width, width) for n in ("q", "k", "v", "out")}
        for name, shape in {**linears, "fc1": (inner, width), "fc2": (width, inner)}.items():
            out[f"{at}{name}.weight"], out[f"{at}{name}.bias"] = shape, shape[:1]
    for norm in norms:
        out[f"{norm}.weight"] = out[f"{norm}.bias"] = (width,)
    return {"decoder." + name: shape for name, shape in out.items()}


def random_weights(config, seed):
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes(config).items():
        noise = torch.randn(shape, generator=generator)
        if len(shape) == 1:
            weights[name] = 1 + 0.3 * noise if name.endswith("norm.weight") else 0.3 * noise
        elif name.endswith(".0.weight"):
            # Small for the head, larger for the tails, so that tokens of every cluster reach the
            # top lists.
            weights[name] = noise * (0.25 if "embeddings.0" in name else 0.7)
        else:
            weights[name] = 1.5 * shape[1] ** -0.5 * noise
    return weights


def state_dict_extras(config, weights):
    """The tied copies and leftovers that a fairseq state dict has besides."""
    extra = {
        "embed_positions._float_tensor": torch.zeros(1),
        "version": torch.tensor([3.0]),
        "adaptive_softmax.head.word_proj.weight": weights[
            "decoder.embed_tokens.embeddings.0.0.weight"
        ].clone(),
    }
    for i in range(len(bounds_of(config)) - 2):
        for theirs, ours in ((2, 0), (0, 1)):
            extra[f"adaptive_softmax.tail.{i}.{theirs}.weight"] = weights[
                f"decoder.embed_tokens.embeddings.{i + 1}.{ours}.weight"
            ].clone()
    return {"decoder." + name: tensor for name, tensor in extra.items()}


class Wikilm:
    """The model, read from its folder; the attention and the adaptive softmax are torch's own."""

    def __init__(self, folder):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = load_file(folder / "model.safetensors")
        self.bounds = bounds_of(self.config)
        self.softmax = self.adaptive_softmax()

    def get(self, name):
        return self.weights["decoder." + name]

    def linear(self, x, name):
        return functional.linear(x, self.get(name + ".weight"), self.get(name + ".bias"))

    def norm(self, x, name):
        return functional.layer_norm(
            x,
            x.shape[-1:],
            self.get(name + ".weight"),
            self.get(name + ".bias"),
            self.config["layer_norm_eps"],
        )

    def values(self, layer):
        return self.get(f"layers.{layer}.fc2.weight").T

    def adaptive_softmax(self):
        c = self.config
        module = torch.nn.AdaptiveLogSoftmaxWithLoss(
            c["hidden_size"],
            c["vocab_size"],
            self.bounds[1:-1],
            div_value=c["adaptive_factor"],
            head_bias=False,
        )
        module.head.weight.copy_(
            torch.cat(
                [
                    self.get("embed_tokens.embeddings.0.0.weight"),
                    self.get("adaptive_softmax.head.class_proj.weight"),
                ]
            )
        )
        for i, tail in enumerate(module.tail, start=1):
            tail[0].weight.copy_(self.get(f"embed_tokens.embeddings.{i}.1.weight").T)
            tail[1].weight.copy_(self.get(f"embed_tokens.embeddings.{i}.0.weight"))
        return module

    def embed(self, ids):
        width, rows = self.config["hidden_size"], []
        for token in ids:
            i = next(k for k, high in enumerate(self.bounds[1:]) if token < high)
            row = self.get(f"embed_tokens.embeddings.{i}.0.weight")[token - self.bounds[i]]
            rows.append(self.get(f"embed_tokens.embeddings.{i}.1.weight") @ row)
        scale = math.sqrt(width) if self.config["scale_embedding"] else 1.0
        return scale * torch.stack(rows) + self.positions(len(ids))

    def positions(self, count):
        half = self.config["hidden_size"] // 2
        frequencies = torch.exp(
            -math.log(10000) / (half - 1) * torch.arange(half, dtype=torch.float64)
        )
        steps = torch.arange(count, dtype=torch.float64) + self.config["pad_token_id"] + 1
        angles = steps[:, None] * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1).float()

    def attend(self, x, at):
        heads = self.config["num_attention_heads"]
        q, k, v = (
            self.linear(x, f"{at}.{n}_proj").view(len(x), heads, -1).transpose(0, 1) for n in "qkv"
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.linear(mixed.transpose(0, 1).reshape(x.shape), f"{at}.out_proj")

    def lens(self, residual):
        """Log-probabilities over the vocabulary."""
        h = self.norm(residual, "layer_norm") if self.config["final_norm"] else residual
        log_probabilities = self.softmax.log_prob(h.reshape(-1, h.shape[-1]))
        return log_probabilities.reshape(*h.shape[:-1], -1)

    def run(self, ids, edit=lambda layer, m: m):
        x, records = self.embed(ids), []
        for layer in range(self.config["num_hidden_layers"]):
            at = f"layers.{layer}"
            before = x + self.attend(self.norm(x, f"{at}.self_attn_layer_norm"), f"{at}.self_attn")
            m = edit(
                layer,
                torch.relu(self.linear(self.norm(before, f"{at}.final_layer_norm"), f"{at}.fc1")),
            )
            ffn = self.linear(m, f"{at}.fc2")
            x = before + ffn
            records.append({"before": before, "m": m, "ffn": ffn, "after": x})
        return self.lens(x), records

    def edited(self, ids, layer, index, value, positions):
        def edit(at, m):
            m = m.clone()
            if at == layer:
                m[slice(None) if positions == "all" else -1, index] = value
            return m

        return self.run(ids, edit)[0]


@torch.no_grad()
def make(name, config):
    folder = HERE / "models" / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "hf").mkdir(parents=True)
    (folder / "hf" / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for seed in range(100):
        weights = random_weights(config, seed)
        if not config["final_norm"]:
            weights |= state_dict_extras(config, weights)
        save_file(weights, folder / "hf" / "model.safetensors", metadata={"format": "pt"})
        model = Wikilm(folder / "hf")
        golden = golden_of(
            name, "wikilm", model, random_ids(config["vocab_size"], seed), "log_probabilities"
        )
        # fairseq gives the padding token no position of its own: keep it out of everything
        # compared.
        if golden and config["pad_token_id"] not in golden["greedy"]:
            break
    total = torch.tensor(golden["logits"][-1]["values"]).exp().sum()
    assert abs(total - 1) < 1e-5, total
    write_json(folder / "golden.json", golden)
    wikilm_gguf.write(folder)
    print(name, "seed", seed, (folder / "hf" / "model.safetensors").stat().st_size)


def main():
    torch.set_num_threads(2)
    for name, config in CHECKPOINTS.items():
        make(name, config)


if __name__ == "__main__":
    main()
