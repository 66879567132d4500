# SPDX-License-Identifier: BSD-3-Clause
"""Golden data of Gemma 3 270M (Q4_K_M), by transformers in float32 on the weights that the gguf
package dequantises.

usage: python make_gemma3.py "$(scripts/fetch_model gemma-3-270m)"
Writes gemma3_270m/golden.json; README.md has the schema. Ids are SentencePiece's, whose model is
put together from the file's own table. Needs sentencepiece and protobuf besides what README.md
lists. Two minutes and 3 GB on a quiet machine.
"""

import sys
from pathlib import Path

import gguf
import sentencepiece
import torch
import transformers
from sentencepiece import sentencepiece_model_pb2 as proto

from common import dominant, number, ranked, top_tokens, write_json
from make_families import Places
from make_smollm2 import continuation, saturation_layer

OUT = Path(__file__).parent / "gemma3_270m"
TOP, PREDICTION, GREEDY, CONCEPT = 6, 10, 32, 10
CHUNK = 64  # positions whose 262,144 logits are held together

TEXT = (OUT / "perplexity.txt").read_text(encoding="utf-8")
PROMPTS = {
    "river": "The longest river in South America is the",
    "opposite": "Hot is to cold as tall is to",
    "code": "#include <vector>\n\nint sum(const std::vector<int>& v) {\n\tint total = 0;\n"
    "    for (int x : v) {\n        total +=",
    "german": "Am Morgen trinkt meine Großmutter gern eine Tasse",
    "scripts": "東京は日本の首都です。القاهرة هي عاصمة مصر، و Москва — столица",
    # Hieroglyphs and a joined emoji: spelt in bytes where there is no token.
    "bytes": "𓂀𓆣 means eye and beetle; 👩🏽‍🚀 means astronaut;   three spaces mean",
    "numbers": "3, 6, 12, 24, 48, 96,",
    # Longer than the window of 512 positions.
    "window": TEXT[:3000].rsplit(" ", 1)[0],
}
CONCEPTS = ((0, 0), (3, 777), (8, 2047), (12, 1033), (17, 5))
# Hugging Face's names of a layer's tensors.
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "post_ffw_norm": "post_feedforward_layernorm",
}
OUTSIDE = {"token_embd": "embed_tokens", "output_norm": "norm"}


def config_of(field):
    """What the file says; the rest is the same in every Gemma 3: five layers with the window and
    rotations of base 10,000, then one without."""
    key = lambda name: field(f"gemma3.{name}")
    return transformers.Gemma3TextConfig(
        vocab_size=len(field("tokenizer.ggml.tokens")),
        hidden_size=key("embedding_length"),
        intermediate_size=key("feed_forward_length"),
        num_hidden_layers=key("block_count"),
        num_attention_heads=key("attention.head_count"),
        num_key_value_heads=key("attention.head_count_kv"),
        head_dim=key("attention.key_length"),
        query_pre_attn_scalar=key("attention.key_length"),
        sliding_window=key("attention.sliding_window"),
        max_position_embeddings=key("context_length"),
        rms_norm_eps=key("attention.layer_norm_rms_epsilon"),
        layer_types=[
            "full_attention" if layer % 6 == 5 else "sliding_attention"
            for layer in range(key("block_count"))
        ],
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": key("rope.freq_base")},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
        attn_implementation="eager",
    )


def name_of(name):
    """Hugging Face's name of a GGUF tensor."""
    parts = name.removesuffix(".weight").split(".")
    inner = OUTSIDE[parts[0]] if len(parts) == 1 else f"layers.{parts[1]}.{LAYER[parts[2]]}"
    return f"model.{inner}.weight"


class Checkpoint:
    """The GGUF, its tokenizer and the torch model made from it."""

    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        field = lambda name: self.reader.fields[name].contents()
        with torch.device("meta"):
            self.model = transformers.Gemma3ForCausalLM(config_of(field))
        self.model.load_state_dict(self.weights(), assign=True, strict=False)
        self.model.tie_weights()
        # Buffers (rotations) are computed anew, since the model was made without memory.
        other = transformers.Gemma3ForCausalLM(self.small()).model
        self.model.model.rotary_emb = other.rotary_emb
        self.model.model.embed_tokens.embed_scale = other.embed_tokens.embed_scale
        assert not any(p.is_meta for p in self.model.parameters())
        assert not any(b.is_meta for b in self.model.buffers())
        self.model.eval()
        self.tokenizer = sentence_pieces(field)
        self.parts = Places(self.model)

    def weights(self):
        """Gains are stored with the 1 that Gemma adds to them."""
        out = {}
        for tensor in self.reader.tensors:
            weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            weight = torch.from_numpy(weight.copy()).float()
            out[name_of(tensor.name)] = weight - 1.0 if "norm" in tensor.name else weight
        expected = {n for n, _ in self.model.named_parameters()} - {"lm_head.weight"}
        assert set(out) == expected, set(out) ^ expected
        return out

    def small(self):
        """The same configuration with next to no weights."""
        config = transformers.Gemma3TextConfig(**self.model.config.to_dict())
        config.vocab_size, config.intermediate_size = 8, 8
        return config

    def ids(self, text):
        return [2] + self.tokenizer.encode(text)


def sentence_pieces(field):
    """SentencePiece's BPE from the file's table: no space is put before the text, none is taken
    away, and what has no token is spelt in bytes."""
    key = lambda name: field(f"tokenizer.ggml.{name}")
    assert key("model") == "llama" and not key("add_space_prefix") and key("add_bos_token")
    assert key("bos_token_id") == 2
    model = proto.ModelProto()
    model.trainer_spec.model_type = proto.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.unk_id = key("unknown_token_id")
    model.trainer_spec.bos_id = key("bos_token_id")
    model.trainer_spec.eos_id = key("eos_token_id")
    model.trainer_spec.pad_id = key("padding_token_id")
    model.trainer_spec.vocab_size = len(key("tokens"))
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    model.normalizer_spec.escape_whitespaces = True
    for token, score, kind in zip(key("tokens"), key("scores"), key("token_type")):
        # The kinds have the same numbers in both: normal, unknown, control, user, unused, byte.
        # The converter wrote spaces into tokens of users, where SentencePiece has its mark.
        piece = token.replace(" ", "\u2581") if kind == gguf.TokenType.USER_DEFINED else token
        model.pieces.add(piece=piece, score=score, type=kind)
    model.pieces[key("unknown_token_id")].type = proto.ModelProto.SentencePiece.UNKNOWN
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


class LastPositions:
    """The model for Places.run, with logits of the last position alone: 262,144 each."""

    def __init__(self, model):
        self.model, self.config = model, model.config

    def __call__(self, ids, use_cache):
        return self.model(ids, use_cache=use_cache, logits_to_keep=1)


def sub_updates(parts, layer, m):
    return [
        {key: record[key] for key in ("neuron", "coefficient", "norm")}
        for record in dominant(m, parts.values(layer).norm(dim=1))
    ]


def tokens(residual, parts, count=TOP):
    return [
        {"id": t["id"], "probability": t["probability"]}
        for t in top_tokens(parts.lens(residual), count)
    ]


def trace(checkpoint, name, text):
    parts, ids = checkpoint.parts, checkpoint.ids(text)
    whole, parts.model = parts.model, LastPositions(checkpoint.model)
    logits, records = parts.run(ids)
    parts.model = whole
    layers = []
    for layer, record in enumerate(records):
        # What divides this layer's update at this position: the norm behind the FFN.
        written = (parts.down(layer).weight @ record["m"][-1]).pow(2).mean()
        layers.append(
            {
                "layer": layer,
                "before": tokens(record["before"][-1], parts),
                "after": tokens(record["after"][-1], parts),
                "rho": number((written + whole.config.rms_norm_eps).sqrt().item()),
                "sub_updates": sub_updates(parts, layer, record["m"][-1]),
            }
        )
    greedy, margins = continuation(checkpoint.model, ids, GREEDY)
    print(name, len(ids), "tokens; smallest margin", min(margins),
          repr(checkpoint.tokenizer.decode(greedy)[:70]), flush=True)
    return {
        "name": name,
        "prompt": text,
        "ids": ids,
        "layers": layers,
        "prediction": [
            {"id": t["id"], "probability": t["probability"]}
            for t in top_tokens(logits[-1], PREDICTION)
        ],
        "saturation_layer": saturation_layer([layer["after"][0]["id"] for layer in layers]),
        "greedy": greedy,
        "greedy_margins": margins,
    }


def perplexity(checkpoint, start):
    """Mean negative log-likelihood (natural log) of tokens 1..T-1, in one window, with the start
    token or without it."""
    ids = checkpoint.ids(TEXT)[0 if start else 1 :]
    hidden = checkpoint.model.model(torch.tensor([ids]), use_cache=False).last_hidden_state[0]
    total = 0.0
    for at in range(0, len(ids) - 1, CHUNK):
        end = min(at + CHUNK, len(ids) - 1)
        logits = checkpoint.model.lm_head(hidden[at:end]).double()
        total += torch.nn.functional.cross_entropy(
            logits, torch.tensor(ids[at + 1 : end + 1]), reduction="sum"
        ).item()
    mean = torch.tensor(total / (len(ids) - 1), dtype=torch.float64)
    print("perplexity", mean.exp().item(), "of", len(ids), "tokens", flush=True)
    return {
        "tokens": len(ids),
        "predicted": len(ids) - 1,
        "nll_mean": number(mean.item()),
        "perplexity": number(mean.exp().item()),
    }


def concept(parts, layer, index):
    """The folded reading of a value vector."""
    v = parts.values(layer)[index]
    gain = 1.0 + parts.final_norm.weight
    scores = parts.head.weight @ (gain * v)
    ends = lambda largest: [
        {"id": i, "score": number(scores[i].item())} for i in ranked(scores, CONCEPT, largest)
    ]
    return {
        "neuron": f"{layer}:{index}",
        "norm": number(v.norm().item()),
        "promotes": ends(True),
        "suppresses": ends(False),
    }


@torch.no_grad()
def main():
    torch.set_num_threads(2)
    checkpoint = Checkpoint(sys.argv[1])
    write_json(
        OUT / "golden.json",
        {
            "prompts": [trace(checkpoint, *item) for item in PROMPTS.items()],
            "perplexity": {
                "with_start": perplexity(checkpoint, True),
                "without_start": perplexity(checkpoint, False),
            },
            "concepts": [concept(checkpoint.parts, *where) for where in CONCEPTS],
        },
    )


if __name__ == "__main__":
    main()
