# SPDX-License-Identifier: BSD-3-Clause
"""Compares xlens with Hugging Face's tokenizers, and with sentencepiece, on random strings. Writes
nothing.

    python compare_random.py BUILD/tests/encode_strings [--count 100000] [--seed 1] [NAME...]

NAME is a tokenizer of tests/golden/tokenizers or text; as usual llama3 (byte-level BPE), t5
(Unigram with a table of characters), bert (WordPiece) and spm_unigram (a SentencePiece model).
Strings are of 1 to 12 code points, each drawn from all that are assigned, or from a few that steps
treat in their own way. Prints a line a tokenizer: strings, how many have other ids, seconds; exits
1 if any has.
"""

import argparse
import pathlib
import random
import sys
import time

import sentencepiece
from tokenizers import Tokenizer

import make_text
import make_tokenizers
from compare_llama_cpp import encode

HERE = pathlib.Path(__file__).parent
COMMON = (" \t\n\r\u00a0\u3000\u2581abcXYZ019.,'!-_#[]()<>\u00e9e\u0301\u0130\u00df\u4e2d\ufb01"
          "\u00bd\u200b\u200d\u1112\u1161\u11ab\U0001f600\ufe0f")


def strings(count, seed):
    rng = random.Random(seed)
    characters = [chr(c) for c in make_text.assigned()]

    def draw():
        return rng.choice(COMMON) if rng.random() < 0.4 else rng.choice(characters)

    return ["".join(draw() for _ in range(rng.randint(1, 12))) for _ in range(count)]


def reference(name, texts):
    folder = HERE / "tokenizers"
    if (folder / f"{name}.model").exists():
        path = folder / f"{name}.model"
        model = sentencepiece.SentencePieceProcessor(str(path))
        return path, [model.encode(t) for t in texts]
    path = folder / f"{name}.json"
    path = path if path.exists() else HERE / "text" / f"{name}.json"
    tok, switch = make_tokenizers.hidden(Tokenizer.from_file(str(path)))
    if switch:
        tok.encode_special_tokens = True
    return path, [e.ids for e in tok.encode_batch(texts, add_special_tokens=False)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("names", nargs="*", default=["llama3", "t5", "bert", "spm_unigram"])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    texts = strings(args.count, args.seed)
    wrong = 0
    for name in args.names:
        path, expected = reference(name, texts)
        begun = time.monotonic()
        ids, _ = encode(args.program, str(path), texts)
        seconds = time.monotonic() - begun
        differing = [i for i, row in enumerate(expected) if ids[i] != row]
        wrong += len(differing)
        print(f"{name}: {len(texts)} strings, {len(differing)} differ, {seconds:.1f} s")
        for i in differing[:5]:
            print(f"  {texts[i]!a}\n    expected {expected[i]}\n    got      {ids[i]}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
