#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What --cache f16 and q8_0 do to a model's text, and what they save.

usage: cache_effect.py XLENS MODEL TEXT [CONTEXT [ROUNDS]]
Perplexity of TEXT in windows of 512 tokens; greedy continuations (64 tokens) of 20 prompts of 24
tokens, cut from TEXT at equal distances, up to the first token that differs from f32's; and after
CONTEXT tokens (4096) of TEXT, read over and over, how fast tokens come and how much memory the
process takes at most: medians of ROUNDS (3) by turns. One table on stdout.
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


def main():
    if len(sys.argv) not in (4, 5, 6):
        sys.exit(__doc__.split("\n\n")[1])
    program, model, text = sys.argv[1:4]
    context = int(sys.argv[4]) if len(sys.argv) > 4 else 4096
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    words = open(text, encoding="utf-8").read()
    ids = run(program, "tokenize", model, "--text", words)[0]["ids"]
    starts = [i * (len(ids) - READ) // PROMPTS for i in range(PROMPTS)]
    long_prompt = listed((ids * (context // len(ids) + 1))[:context])

    perplexity, written, rates, memory = {}, {}, {k: [] for k in KINDS}, {}
    for kind in KINDS:
        found, _ = run(
            program, "perplexity", model, "--file", text, "--window", "512", "--cache", kind
        )
        perplexity[kind] = found["perplexity"]
        written[kind] = [
            run(
                program, "generate", model, "--ids", listed(ids[s : s + READ]), "-n", str(WRITTEN),
                "--cache", kind,
            )[0]["ids"]
            for s in starts
        ]
    for _ in range(rounds):
        for kind in KINDS:
            found, peak = run(
                program, "generate", model, "--ids", long_prompt, "-n", "16", "--cache", kind
            )
            rates[kind].append(found["tokens_per_second"])
            memory[kind] = max(peak, memory.get(kind, 0))

    print(f"| cache | perplexity | texts that part, of {PROMPTS} | first other token", end="")
    print(f" | tok/s after {context} | peak RSS, MiB |")
    print("|---|---|---|---|---|---|")
    for kind in KINDS:
        firsts = sorted(
            next(i for i, (x, y) in enumerate(zip(a, b)) if x != y)
            for a, b in zip(written["f32"], written[kind])
            if a != b
        )
        said = ""
        if firsts:
            said = f"{firsts[0]} to {firsts[-1]}, median {statistics.median(firsts):g}"
        print(
            f"| {kind} | {perplexity[kind]:.4f} | {len(firsts)} | {said} |"
            f" {statistics.median(rates[kind]):.1f} | {memory[kind]:.0f} |"
        )


if __name__ == "__main__":
    main()
