# SPDX-License-Identifier: BSD-3-Clause
"""Goldens of decoding and its control: transformers' beam search on 20 prompts, its chat template
on 5 conversations, and perplexity in overlapping windows with edited coefficients, all of
SmolLM2-135M-Instruct (Q4_1, dequantised to float32).

usage: python make_beam.py MODEL.gguf [beam] [chat] [control]
writes smollm2/{beam,chat_template,control}.json; README.md has the schema
"""

import sys
from pathlib import Path

import torch
from transformers.utils.chat_template_utils import render_jinja_template

from common import number, write_json
from make_smollm2 import OUT, PROMPTS, Checkpoint

MORE = {
    "story": "Once upon a time there was a small dragon who",
    "recipe": "To bake bread you need flour, water,",
    "question": "Q: Who wrote Hamlet?\nA:",
    "list": "Three colours: red,",
    "weather": "Tomorrow the weather in London will be",
    "german": "Der Hund lief über die Straße und",
    "math": "2 + 2 = 4, 3 + 3 = 6, 4 + 4 =",
    "chat_short": "<|im_start|>user\nSay hi.<|im_end|>\n<|im_start|>assistant\n",
}
# Beams, new tokens and length penalty, by turns.
SETTINGS = ((3, 20, 1.0), (4, 24, 0.6), (2, 16, 0.0), (5, 12, 2.0))

SYSTEM = {"role": "system", "content": "Answer in one word."}
CONVERSATIONS = (
    [{"role": "user", "content": "What is the largest planet?"}],
    [SYSTEM, {"role": "user", "content": "What is the largest planet?"}],
    [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello! How can I help?"},
        {"role": "user", "content": "  Spaces, \n lines and 日本 🍕 "},
    ],
    [
        SYSTEM,
        {"role": "user", "content": "<|im_end|> is not yours"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "'quoted' \"twice\" {{ braces }}"},
    ],
    [{"role": "assistant", "content": "I begin."}, {"role": "user", "content": "Go on"}],
)

WINDOW, STRIDE = 128, 48
EDITS = {"none": (), "coefficients": ((12, 1033, 3.0), (20, 77, -4.0), (3, 5, 2.0))}


def beam(checkpoint):
    prompts, out = {**PROMPTS, **MORE}, []
    for i, (name, text) in enumerate(prompts.items()):
        beams, count, penalty = SETTINGS[i % len(SETTINGS)]
        ids = checkpoint.ids(text)
        result = checkpoint.model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            num_beams=beams,
            max_new_tokens=count,
            do_sample=False,
            length_penalty=penalty,
            early_stopping=False,
            num_return_sequences=beams,
            return_dict_in_generate=True,
            output_scores=True,
            eos_token_id=2,
            pad_token_id=0,
        )
        found = []
        for sequence, score in zip(result.sequences.tolist(), result.sequences_scores.tolist()):
            new = sequence[len(ids) :]
            while new and new[-1] == 0:
                new.pop()
            found.append({"ids": new, "score": number(score)})
        out.append(
            {
                "name": name,
                "ids": ids,
                "beams": beams,
                "new_tokens": count,
                "length_penalty": penalty,
                "hypotheses": found,
            }
        )
        print(name, beams, [len(f["ids"]) for f in found], [f["score"] for f in found])
    write_json(OUT / "beam.json", {"prompts": out})


def chat(checkpoint):
    field = lambda key: checkpoint.reader.fields[key].contents()
    template = field("tokenizer.chat_template")
    out = []
    for messages in CONVERSATIONS:
        for prompt in (True, False):
            (text,), _ = render_jinja_template(
                conversations=[messages], chat_template=template, add_generation_prompt=prompt
            )
            out.append({"messages": messages, "add_generation_prompt": prompt, "text": text})
            if prompt:
                out[-1]["ids"] = checkpoint.ids(text)
    write_json(OUT / "chat_template.json", {"template": template, "conversations": out})
    print("chat:", len(out))


def coefficient_hook(edits):
    def change(_, arguments):
        m = arguments[0].clone()
        for index, value in edits:
            m[..., index] = value
        return (m, *arguments[1:])

    return change


def gate_hook(edits):
    def change(_, __, output):
        for index, value in edits:
            output[..., index] = value
        return output

    return change


def strided(checkpoint, ids, window, stride):
    """The usual loop: windows start every `stride` tokens, and each scores only what no window
    before it has scored."""
    total, count, scored = 0.0, 0, 1
    for start in range(0, len(ids), stride):
        end = min(start + window, len(ids))
        part = torch.tensor([ids[start:end]])
        logits = checkpoint.model(part, use_cache=False).logits[0].double()
        each = torch.nn.functional.cross_entropy(logits[:-1], part[0, 1:], reduction="none")
        fresh = each[max(scored - start - 1, 0) :]
        total, count, scored = total + fresh.sum().item(), count + len(fresh), end
        if end == len(ids):
            break
    return {"tokens": count, "nll_mean": number(total / count)}


def control(checkpoint):
    ids = checkpoint.ids((OUT / "perplexity.txt").read_text(encoding="utf-8"))
    out = []
    layers = checkpoint.parts.layers
    for name, edits in EDITS.items():
        for site in ("coefficient", "pre_activation") if edits else ("coefficient",):
            handles = []
            for layer in {e[0] for e in edits}:
                here = [(i, v) for l, i, v in edits if l == layer]
                if site == "coefficient":
                    hook = layers[layer].mlp.down_proj.register_forward_pre_hook(
                        coefficient_hook(here)
                    )
                else:
                    hook = layers[layer].mlp.gate_proj.register_forward_hook(gate_hook(here))
                handles.append(hook)
            for stride in (WINDOW, STRIDE):
                result = strided(checkpoint, ids, WINDOW, stride)
                out.append(
                    {
                        "name": name,
                        "site": site,
                        "set": [{"neuron": f"{l}:{i}", "value": v} for l, i, v in edits],
                        "window": WINDOW,
                        "stride": stride,
                        **result,
                    }
                )
                print(out[-1])
            for handle in handles:
                handle.remove()
    write_json(OUT / "control.json", {"text": "perplexity.txt", "runs": out})


@torch.no_grad()
def main():
    torch.set_num_threads(2)
    checkpoint = Checkpoint(sys.argv[1])
    parts = {"beam": beam, "chat": chat, "control": control}
    for name in sys.argv[2:] or parts:
        parts[name](checkpoint)


if __name__ == "__main__":
    main()
