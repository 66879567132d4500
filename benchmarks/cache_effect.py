#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What --cache f16 and q8_0 do to a model's text, and what they save.

usage: cache_effect.py text XLENS MODEL TEXT
       cache_effect.py speed XLENS MODEL TEXT [CONTEXT [ROUNDS]]
text: perplexity of TEXT in windows of 512 tokens; greedy continuations (64 tokens) of 20 prompts of
24 tokens, cut from TEXT at equal distances, up to the first token that differs from f32's.
speed: after CONTEXT tokens (4096) of TEXT, read over and over, how fast 16 more come and how much
memory the process takes at most: medians of ROUNDS (3), by turns. A table on stdout.
"""

import json
import os
import statistics
import subprocess
import sys

KINDS = ("f32", "f16", "q8_0")
PROMPTS, READ, WRITTEN = 20, 24, 64


def run(program, command, model, *flags):
    """(the JSON document, peak RSS in MiB)"""
    process = subprocess.Popen(
        [program, command, model, "--json", *flags], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{program} {command} {model} {' '.join(flags)[:100]}: failed")
    return json.loads(out), usage.ru_maxrss / 1024


def listed(ids):
    return ",".join(map(str, ids))


def text_table(program, model, text, ids):
    starts = [i * (len(ids) - READ) // PROMPTS for i in range(PROMPTS)]
    print(f"| cache | perplexity | texts that part, of {PROMPTS} | first other token |")
    print("|---|---|---|---|")
    exact = []
    for kind in KINDS:
        flags = ["--file", text, "--window", "512", "--cache", kind]
        perplexity = run(program, "perplexity", model, *flags)[0]["perplexity"]
        written = []
        for start in starts:
            flags = ["--ids", listed(ids[start : start + READ]), "-n", str(WRITTEN)]
            written.append(run(program, "generate", model, *flags, "--cache", kind)[0]["ids"])
        exact = exact or written
        firsts = sorted(
            next(i for i, (x, y) in enumerate(zip(a, b)) if x != y)
            for a, b in zip(exact, written)
            if a != b
        )
        said = ""
        if firsts:
            said = f"{firsts[0]} to {firsts[-1]}, median {statistics.median(firsts):g}"
        print(f"| {kind} | {perplexity:.4f} | {len(firsts)} | {said} |", flush=True)


def speed_table(program, model, ids, context, rounds):
    prompt = listed((ids * (context // len(ids) + 1))[:context])
    rates, memory = {kind: [] for kind in KINDS}, dict.fromkeys(KINDS, 0)
    for _ in range(rounds):
        for kind in KINDS:
            found, peak = run(
                program, "generate", model, "--ids", prompt, "-n", "16", "--cache", kind
            )
            rates[kind].append(found["tokens_per_second"])
            memory[kind] = max(peak, memory[kind])
    print(f"| cache | tok/s after {context} | peak RSS, MiB |\n|---|---|---|")
    for kind in KINDS:
        print(f"| {kind} | {statistics.median(rates[kind]):.1f} | {memory[kind]:.0f} |")


def main():
    if len(sys.argv) < 5 or sys.argv[1] not in ("text", "speed"):
        sys.exit(__doc__.split("\n\n")[1].split("\ntext:")[0])
    what, program, model, text, *more = sys.argv[1:]
    with open(text, encoding="utf-8") as file:
        ids = run(program, "tokenize", model, "--text", file.read())[0]["ids"]
    if what == "text":
        return text_table(program, model, text, ids)
    context = int(more[0]) if more else 4096
    speed_table(program, model, ids, context, int(more[1]) if len(more) > 1 else 3)


if __name__ == "__main__":
    main()
