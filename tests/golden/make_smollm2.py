# SPDX-License-Identifier: BSD-3-Clause
"""Golden data of SmolLM2-135M-Instruct (Q4_1), read by transformers from the GGUF with weights
dequantised to float32.

usage: python make_smollm2.py MODEL.gguf     writes smollm2/; README.md has the schema
"""

import sys
from pathlib import Path

import gguf
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

import gguf_export
from common import Parts, Probe, dominant, number, numbers, ranked, top_tokens, write_json

OUT = Path(__file__).parent / "smollm2"
TOP, PREDICTION, GREEDY, PROJECTED_EVERY, PROJECTED = 6, 10, 32, 5, 5
WITH_LOGITS = ("capital", "code", "french", "japanese", "emoji", "long", "single", "chat")

PROMPTS = {
    "capital": "The capital of France is",
    "opposite": "The opposite of hot is",
    "breakfast": "For breakfast I like to eat eggs, toast and",
    "code": "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "french": "Le petit chat est assis sur la table et regarde par la",
    "chinese": "中国的首都是",
    "japanese": "日本の首都は東京です。フランスの首都は",
    "emoji": "I love pizza 🍕 and ice cream 🍦! My favourite emoji is 👩‍🚀",
    "numbers": "1, 2, 4, 8, 16, 32, 64, 128,",
    "long": "The expedition left the harbour at dawn, with two ships, eighty sailors and "
    "provisions for nine months. For the first three weeks the weather was kind, and the "
    "men sang as they worked. Then, on the twenty-second day, a storm came from the "
    "north-west and drove them far off their course. When the sky cleared, the captain "
    "climbed on deck, measured the height of the sun, and found that they were almost "
    "four hundred miles south of where they ought to be. He called his officers together,"
    " spread the map on the table and",
    "single": "Once",
    "chat": "<|im_start|>system\nYou are a helpful AI assistant.<|im_end|>\n<|im_start|>user\n"
    "What is the largest planet?<|im_end|>\n<|im_start|>assistant\n",
}
CONCEPTS = ((0, 0), (4, 1033), (11, 512), (17, 77), (23, 1400), (29, 1535))


class Checkpoint:
    """The GGUF, its tokenizer and the torch model made from it."""

    def __init__(self, path):
        path = Path(path)
        self.reader = gguf.GGUFReader(path)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        self.check_weights()
        self.tokenizer = self.make_tokenizer()
        self.check_tokenizer(path)
        self.parts = Parts(self.model)

    def check_weights(self):
        """Every weight is, bit for bit, what the gguf package dequantises (in GGUF's row order)."""
        ours = gguf_export.tensors(self.model)
        assert set(ours) == {t.name for t in self.reader.tensors}, set(ours) ^ {
            t.name for t in self.reader.tensors
        }
        for tensor in self.reader.tensors:
            weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            assert (ours[tensor.name] == weight.reshape(ours[tensor.name].shape)).all(), tensor.name

    def make_tokenizer(self):
        """Byte-level BPE from the file's own tables; `smollm` splits digits one by one, then as
        GPT-2 does."""
        field = lambda key: self.reader.fields[f"tokenizer.ggml.{key}"].contents()
        assert field("model") == "gpt2" and field("pre") == "smollm"
        tokens, types = field("tokens"), field("token_type")
        merges = [tuple(m.split(" ")) for m in field("merges")]
        tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
        tokenizer.add_special_tokens(
            [
                AddedToken(t, special=True, normalized=False)
                for t, kind in zip(tokens, types)
                if kind == gguf.TokenType.CONTROL
            ]
        )
        assert tokenizer.get_vocab_size() == len(tokens)
        return tokenizer

    def check_tokenizer(self, path):
        other = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        for name, text in PROMPTS.items():
            if other(text)["input_ids"] != self.ids(text):
                print(
                    f"{name}: transformers reads other tokens: {other(text)['input_ids']}"
                )

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids


def tokens_of(scores, k, largest):
    return [{"id": i, "score": number(scores[i].item())} for i in ranked(scores, k, largest)]


def projections(parts, v):
    """The three readings of a value vector in the vocabulary."""
    gain, eps = parts.final_norm.weight, parts.final_norm.variance_epsilon
    normed = gain * v / (v.pow(2).mean() + eps).sqrt()
    return {
        "raw": parts.unembedding @ v,
        "folded": parts.unembedding @ (gain * v),
        "normed": parts.unembedding @ normed,
    }


def sub_updates(parts, layer, m, projected):
    values = parts.values(layer)
    records = dominant(m, values.norm(dim=1))
    for record in records if projected else ():
        scores = projections(parts, values[record["neuron"]])["folded"]
        record["promotes"] = tokens_of(scores, PROJECTED, True)
        record["suppresses"] = tokens_of(scores, PROJECTED, False)
    return records


def continuation(model, ids, count):
    """Greedy tokens, not stopped by an end token, and each one's lead over the runner-up in
    logits."""
    out, margins, past, fresh = [], [], None, ids
    for _ in range(count):
        result = model(torch.tensor([fresh]), past_key_values=past, use_cache=True)
        past, best = result.past_key_values, result.logits[0, -1].topk(2)
        out.append(int(best.indices[0]))
        margins.append(number(float(best.values[0] - best.values[1])))
        fresh = out[-1:]
    return out, margins


def saturation_layer(tops):
    """First layer from which the top-1 after the FFN stays the final one."""
    layer = len(tops) - 1
    while layer > 0 and tops[layer - 1] == tops[-1]:
        layer -= 1
    return layer


def trace(checkpoint, name, text):
    parts, ids = checkpoint.parts, checkpoint.ids(text)
    logits, records = Probe(parts).run(ids)
    layers = []
    for layer, record in enumerate(records):
        projected = layer % PROJECTED_EVERY == 0 or layer == len(records) - 1
        layers.append(
            {
                "layer": layer,
                "before": top_tokens(parts.lens(record["before"][-1]), TOP),
                "after": top_tokens(parts.lens(record["after"][-1]), TOP),
                "sub_updates": sub_updates(parts, layer, record["m"][-1], projected),
            }
        )
    greedy, margins = continuation(checkpoint.model, ids, GREEDY)
    golden = {
        "name": name,
        "prompt": text,
        "ids": ids,
        "layers": layers,
        "prediction": top_tokens(logits[-1], PREDICTION),
        "saturation_layer": saturation_layer([layer["after"][0]["id"] for layer in layers]),
        "greedy": greedy,
        "greedy_margins": margins,
    }
    if name in WITH_LOGITS:
        golden["logits"] = f"{name}.logits.bin"
        (OUT / golden["logits"]).write_bytes(logits[-1].numpy().astype("<f4").tobytes())
    write_json(OUT / f"{name}.json", golden)
    print(
        name,
        len(ids),
        "tokens;",
        repr(checkpoint.tokenizer.decode(greedy)[:60]),
        "saturation",
        golden["saturation_layer"],
        "smallest greedy margin",
        min(margins),
    )
    return ids, records


def residuals(name, ids, records, layer):
    record = records[layer]
    write_json(
        OUT / "residuals.json",
        {
            "prompt": name,
            "ids": ids,
            "layer": layer,
            "position": len(ids) - 1,
            "before": numbers(record["before"][-1]),
            "coefficients": numbers(record["m"][-1]),
            "ffn_output": numbers(record["ffn"][-1]),
            "after": numbers(record["after"][-1]),
        },
    )


def perplexity(checkpoint):
    """Mean negative log-likelihood (natural log) of tokens 1..T-1, each given all before it, in one
    window."""
    ids = checkpoint.ids((OUT / "perplexity.txt").read_text(encoding="utf-8"))
    logits = checkpoint.model(torch.tensor([ids]), use_cache=False).logits[0, :-1].double()
    each = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
    write_json(
        OUT / "perplexity.json",
        {
            "text": "perplexity.txt",
            "ids": ids,
            "tokens": len(ids),
            "predicted": len(ids) - 1,
            "nll_sum": number(each.sum().item()),
            "nll_mean": number(each.mean().item()),
            "perplexity": number(each.mean().exp().item()),
            "nll_each": numbers(each),
        },
    )
    print("perplexity", each.mean().exp().item(), "of", len(ids), "tokens")


def concepts(checkpoint):
    parts, out = checkpoint.parts, []
    for layer, index in CONCEPTS:
        v = parts.values(layer)[index]
        out.append(
            {
                "neuron": f"{layer}:{index}",
                "norm": number(v.norm().item()),
                **{
                    name: {
                        "promotes": tokens_of(s, 30, True),
                        "suppresses": tokens_of(s, 30, False),
                    }
                    for name, s in projections(parts, v).items()
                },
            }
        )
    write_json(OUT / "concepts.json", {"concepts": out})


@torch.no_grad()
def main():
    torch.set_num_threads(2)
    checkpoint = Checkpoint(sys.argv[1])
    for name, text in PROMPTS.items():
        ids, records = trace(checkpoint, name, text)
        if name == "capital":
            residuals(name, ids, records, 12)
    perplexity(checkpoint)
    concepts(checkpoint)


if __name__ == "__main__":
    main()
