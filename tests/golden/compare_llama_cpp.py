# SPDX-License-Identifier: BSD-3-Clause
r"""Compares tokens with the `.inp` and `.out` pairs of llama.cpp's vocabularies. Writes nothing.

    pip download --no-deps --no-binary :all: llama-cpp-python==0.3.36
    tar xf llama_cpp_python-*.tar.gz && ninja -C build tests/encode_strings
    python compare_llama_cpp.py llama_cpp_python-*/vendor/llama.cpp/models \
        build/tests/encode_strings

A pair holds texts, separated by a line, and the ids that the model's own tokenizer gave for each.
Prints a line a vocabulary: texts, how many have other ids, seconds. Exits 1 if any has.
"""

import pathlib
import struct
import subprocess
import sys
import time

SEPARATOR = "\n__ggml_vocab_test__\n"


def encode(program, vocabulary, texts, *flags):
    """The ids of every text, by xlens."""
    rows = b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in texts)
    run = subprocess.run([program, vocabulary, *flags], input=rows, capture_output=True,
                         check=False)
    if run.returncode != 0:
        raise RuntimeError(run.stderr.decode().strip())
    out, at = [], 0
    while at < len(run.stdout):
        (count,) = struct.unpack_from("<I", run.stdout, at)
        out.append(list(struct.unpack_from(f"<{count}i", run.stdout, at + 4)))
        at += 4 + 4 * count
    return out, run.stderr.decode().strip()


def main():
    models, program = pathlib.Path(sys.argv[1]), sys.argv[2]
    wrong = 0
    for vocabulary in sorted(models.glob("ggml-vocab-*.gguf")):
        name = vocabulary.stem.removeprefix("ggml-vocab-")
        given, wanted = (vocabulary.with_name(vocabulary.name + end) for end in (".inp", ".out"))
        pair = given.exists() and wanted.exists()
        texts = given.read_text(encoding="utf-8").split(SEPARATOR) if pair else ["Hello world"]
        begun = time.monotonic()
        try:
            ids, warning = encode(program, vocabulary, texts)
        except RuntimeError as error:
            print(f"{name}: {error}")
            wrong += 1
            continue
        seconds = time.monotonic() - begun
        lines = wanted.read_text().split("\n") if pair else []
        expected = [[int(i) for i in line.split()] for line in lines[:len(texts)]] or ids
        differing = [i for i, row in enumerate(expected) if ids[i] != row]
        wrong += len(differing)
        print(f"{name}: {len(texts)} texts{'' if pair else ' (no pair)'}, {len(differing)} differ, "
              f"{seconds:.2f} s{'; ' + warning if warning else ''}")
        for i in differing[:3]:
            print(f"  {texts[i]!r}\n    expected {expected[i]}\n    got      {ids[i]}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
