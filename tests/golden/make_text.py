# SPDX-License-Identifier: BSD-3-Clause
"""Makes tests/golden/text: small tokenizers, and what reference libraries make of many strings.

The references are Hugging Face's `tokenizers` and Google's `sentencepiece`. The small tokenizers
are trained here, on Python's own language reference (module pydoc_data.topics) and on made-up
words; the training text is not kept. Seeded: with the same versions of the packages the same
files come out.

    python make_text.py --model SmolLM2-135M-Instruct.Q4_1.gguf [--out tests/golden/text]

Files:
  strings.jsonl         the strings, one JSON string a line
  NAME.json             a tokenizer.json
  NAME.plain.bin        ids of every string, special tokens taken as plain text
  NAME.special.bin      ids with special tokens parsed, of the strings where that matters
  NAME.prompt.bin       the same with add_special_tokens, of the first 200 strings
  smollm2.*.bin         the same for the vocabulary of --model (its tokenizer.json is not kept)
  sentencepiece.json    the arrays of a GGUF file (tokens, scores, types) of a SentencePiece model
  sentencepiece.*.bin   its ids by the sentencepiece package
  steps.json            pre-tokenisers and normalisers one by one: [config, text, result]
  code_points.json      hashes of what patterns and normal forms do to all assigned characters
  versions.json         of the packages

A .bin file is a row of LEB128 numbers: for each string its line in strings.jsonl (from 0), the
count of ids, the ids.
"""

import argparse
import importlib.metadata
import io
import json
import os
import pathlib
import pydoc_data.topics
import random
import sys
import tempfile
import unicodedata

import gguf
import sentencepiece
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

SEED = 20220328
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>",
            "<s>", "</s>", "<unk>"]
SCRIPTS = {  # where letters of a script begin, and how many to draw from
    "latin": (0x61, 26), "latin1": (0xC0, 64), "greek": (0x391, 57), "cyrillic": (0x410, 64),
    "armenian": (0x531, 38), "hebrew": (0x5D0, 27), "arabic": (0x620, 43),
    "devanagari": (0x905, 70), "bengali": (0x985, 60), "tamil": (0xB85, 60), "thai": (0xE01, 58),
    "georgian": (0x10D0, 43), "jamo": (0x1100, 100), "ethiopic": (0x1200, 70),
    "khmer": (0x1780, 80), "hiragana": (0x3041, 86), "katakana": (0x30A1, 90),
    "han": (0x4E00, 2000), "hangul": (0xAC00, 2000), "gothic": (0x10330, 27),
    "fraktur": (0x1D504, 100), "fullwidth": (0xFF01, 94),
}
SPACES = [chr(c) for c in (9, 10, 11, 12, 13, 0x20, 0x85, 0xA0, 0x1680, 0x2003, 0x200A, 0x2028,
                           0x2029, 0x202F, 0x205F, 0x3000)]
NOT_SPACES = [chr(c) for c in (0x180E, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x1C, 0x1F, 0xAD)]
NUMERALS = "0123456789\u0661\u0662\u0967\u0968\u00b2\u00bd\u2167\u2460\u3007\U0001D7D9\u0be7"
EMOJI = ["\U0001F600", "\u2764\uFE0F", "\U0001F468\u200D\U0001F469\u200D\U0001F467",
         "\U0001F44D\U0001F3FD", "\U0001F1E8\U0001F1ED", "1\uFE0F\u20E3", "\U0001FAE0", "\u263A"]
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'Ve", "'M",
                "'LL", "'D", "'\u017F", "\u2019s", "'x", "''", "'l"]


def assigned():
    """Every scalar value with a meaning; private use, which has none, is left out.

    The tables of `tokenizers` are older than Python's: characters that they do not know yet are
    left out too, for a newer table is no mistake.
    """
    forms = {"NFKC": normalizers.NFKC(), "NFKD": normalizers.NFKD()}

    def known(c):
        return all(form.normalize_str(c) == unicodedata.normalize(name, c)
                   for name, form in forms.items())

    return [c for c in range(0x110000)
            if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs") and known(chr(c))]


def word(rng, script=None):
    start, count = SCRIPTS[script or rng.choice(list(SCRIPTS))]
    return "".join(chr(start + rng.randrange(count)) for _ in range(rng.randint(1, 7)))


def training_text(rng):
    """Lines that give each kind of text some merges."""
    lines = []
    for topic in sorted(pydoc_data.topics.topics):
        lines += pydoc_data.topics.topics[topic].split("\n")
    common = [word(rng) for _ in range(150)] + EMOJI
    for _ in range(3000):
        lines.append(" ".join(rng.choice(common) for _ in range(6)))
    return [line for line in lines if line]


def strings(rng, characters):
    out = ["", " ", "\n", "\0", "a", " a", "a ", "\u2581", "\u2581a", " \u2581", "  "]
    prose = " ".join(pydoc_data.topics.topics[t] for t in ("class", "integers", "lambda"))
    words = prose.split()

    def add(count, make):
        out.extend(make() for _ in range(count))

    def some(items, low, high, joint=""):
        return joint.join(rng.choice(items) for _ in range(rng.randint(low, high)))

    def cut(text, length):
        at = rng.randrange(len(text) - length)
        return text[at:at + length]

    add(300, lambda: some(words, 1, 6, " "))
    add(150, lambda: cut(prose, rng.randint(5, 40)))  # code, indents and line ends among it
    add(150, lambda: "".join(rng.choice(words) + rng.choice(CONTRACTIONS) + rng.choice(["", " "])
                             for _ in range(rng.randint(1, 3))))
    for script in SCRIPTS:
        add(25, lambda: some([word(rng, script), word(rng, script), " ", "1", "."], 2, 6))
    add(150, lambda: some([word(rng) for _ in range(4)], 2, 4, rng.choice([" ", "", "-", "\n"])))
    add(150, lambda: some(SPACES[:6] + [" ", " ", "a", "\r\n", "?"], 2, 12))
    add(100, lambda: some(SPACES + NOT_SPACES + ["a", "1", "."], 2, 10))
    add(100, lambda: some(NUMERALS, 1, 10) + rng.choice(["", " ", "x", ".5"]))
    add(100, lambda: some(EMOJI + [" ", "a"], 1, 5))
    add(150, lambda: "".join(rng.choice("aeiouAEOnsc\u0915\u05d0\uac00\u1112") +
                             some([chr(c) for c in range(0x300, 0x330)] +
                                  ["\u0323", "\u1161", "\u11ab", "\u093c", "\u05b7"], 0, 3)
                             for _ in range(rng.randint(1, 5))))
    add(60, lambda: some([chr(c) for c in range(0x20)] + [chr(c) for c in range(0x7F, 0xA0)], 1, 8))
    add(250, lambda: some(SPECIALS + SPECIALS + [" ", "  ", "\n", "a", "B\u00e9", "<|", "|>", "<",
                                                 "_", "<|im", "_end|>", "<0x41>"], 1, 6))
    add(100, lambda: some(["<TAG>", "<mark>", "<left>", "<right>", "word", "Word", "caf\u00e9",
                           " ", "\t", "x", "_", "<both>", "<bo", "\u212B"], 1, 7))
    add(100, lambda: some(["!", "??", "--", "::", "=>", "{}", "();", "\\", "/", "\u00bf", "\u3002",
                           "$", "\u20ac", "+", "^", "`", "~", " ", "a", "\n"], 1, 8))
    add(300, lambda: "".join(chr(rng.choice(characters)) for _ in range(rng.randint(1, 8))))
    add(100, lambda: rng.choice("aeA \n1.\u00e9\u4e2d") * rng.randint(2, 60))
    return list(dict.fromkeys(out))


def byte_level(corpus, cut, specials, normalizer=None, vocabulary=1000):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = cut
    tok.decoder = decoders.ByteLevel()
    if normalizer:
        tok.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, show_progress=False, special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tok.train_from_iterator(corpus, trainer)
    return tok


def split_cut(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated", False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def smollm_cut():
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False)])


def begin_with(tok, name):
    return processors.TemplateProcessing(single=f"{name} $A", pair=f"{name} $A $B",
                                         special_tokens=[(name, tok.token_to_id(name))])


def make_llama3(corpus):
    tok = byte_level(corpus, split_cut(LLAMA3), ["<|begin_of_text|>", "<|eot_id|>"])
    tok.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), begin_with(tok, "<|begin_of_text|>")])
    state = json.loads(tok.to_str())
    # Tokens that no merge makes: with ignore_merges a whole word still becomes one.
    state["model"]["ignore_merges"] = True
    for extra in ("\u0120language", "Pythonic", "\u0120xyzzy"):
        if extra not in state["model"]["vocab"]:
            state["model"]["vocab"][extra] = len(state["model"]["vocab"])
    return Tokenizer.from_str(json.dumps(state))


def make_qwen2(corpus):
    tok = byte_level(corpus, split_cut(QWEN2), [], normalizers.NFC())
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    tok.add_special_tokens([AddedToken(t, normalized=False, special=True)
                            for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
    tok.add_tokens([AddedToken("<mark>", normalized=False)])
    return tok


def make_flags(corpus):
    """Every flag that an added token can have, with normalisers that matter to them."""
    tok = byte_level(corpus, pre_tokenizers.ByteLevel(add_prefix_space=True), [],
                     normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]), 700)
    tok.add_special_tokens([AddedToken("<|im_end|>", normalized=False, special=True, lstrip=True),
                            AddedToken("<|im_start|>", normalized=True, special=True)])
    tok.add_tokens([AddedToken("<left>", lstrip=True, normalized=False),
                    AddedToken("<right>", rstrip=True, normalized=False),
                    AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
                    AddedToken("<bo", normalized=False),
                    AddedToken("word", single_word=True, normalized=False),
                    AddedToken("Caf\u00c9", single_word=True, normalized=True),
                    AddedToken("<TAG>", normalized=True)])
    suffix = tok.token_to_id("<|im_end|>")
    tok.post_processor = processors.TemplateProcessing(
        single="$A <|im_end|>", special_tokens=[("<|im_end|>", suffix)])
    return tok


def make_sentencepiece(corpus):
    """A SentencePiece BPE model with byte fallback, made as Llama's is."""
    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=stream, model_type="bpe", vocab_size=1000,
        byte_fallback=True, character_coverage=0.98, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=True, num_threads=1, minloglevel=2,
        split_digits=True, allow_whitespace_only_pieces=True)
    return sentencepiece.SentencePieceProcessor(model_proto=stream.getvalue())


def sentencepiece_arrays(model):
    def kind(i):
        return (6 if model.is_byte(i) else 2 if model.is_unknown(i) else
                3 if model.is_control(i) else 5 if model.is_unused(i) else 1)

    size = model.get_piece_size()
    return {"tokens": [model.id_to_piece(i) for i in range(size)],
            "scores": [model.get_score(i) for i in range(size)],
            "types": [kind(i) for i in range(size)]}


def llama2_json(arrays):
    """The vocabulary as the converter of `transformers` writes it: merges in order of score."""
    tokens, scores = arrays["tokens"], arrays["scores"]
    ids = {t: i for i, t in enumerate(tokens)}
    merges = []
    for i, token in enumerate(tokens):
        if arrays["types"][i] == 1:
            pairs = [(token[:k], token[k:]) for k in range(1, len(token))]
            pairs = [p for p in pairs if p[0] in ids and p[1] in ids]
            merges += [(scores[i], p) for p in sorted(pairs, key=lambda p: (ids[p[0]], ids[p[1]]))]
    merges = [p for _, p in sorted(merges, key=lambda item: -item[0])]
    tok = Tokenizer(models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"),
                                           normalizers.Replace(" ", "\u2581")])
    tok.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(),
                                     decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tok.add_special_tokens([AddedToken(t, normalized=False, special=True)
                            for t in ("<unk>", "<s>", "</s>")])
    tok.post_processor = begin_with(tok, "<s>")
    return tok


def metaspace_json(llama2):
    tok = Tokenizer.from_str(llama2.to_str())
    state = json.loads(tok.to_str())
    state["normalizer"] = None
    tok = Tokenizer.from_str(json.dumps(state))
    tok.pre_tokenizer = pre_tokenizers.Metaspace("\u2581", prepend_scheme="first", split=False)
    return tok


def smollm2_json(path):
    """The tokenizer.json that the arrays of SmolLM2's GGUF stand for."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    tok = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    tok.pre_tokenizer = smollm_cut()
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens([AddedToken(t, normalized=False, special=True)
                            for t, kind in zip(tokens, types) if kind == 3])
    return tok


def leb128(numbers):
    out = bytearray()
    for n in numbers:
        while n >= 0x80:
            out.append(n & 0x7F | 0x80)
            n >>= 7
        out.append(n)
    return bytes(out)


def write_ids(path, rows):
    """`rows`: ids by line."""
    path.write_bytes(b"".join(leb128([line, len(ids), *ids]) for line, ids in rows.items()))


def write_tokenizer(out, name, tok, texts, keep=True):
    if keep:
        (out / f"{name}.json").write_text(
            json.dumps(json.loads(tok.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n",
            encoding="utf-8")

    def encode(lines, **options):
        return {i: tok.encode(texts[i], **options).ids for i in lines}

    every = range(len(texts))
    tok.encode_special_tokens = True
    plain = encode(every, add_special_tokens=False)
    tok.encode_special_tokens = False
    special = encode(every, add_special_tokens=False)
    write_ids(out / f"{name}.plain.bin", plain)
    write_ids(out / f"{name}.special.bin", {i: v for i, v in special.items() if v != plain[i]})
    write_ids(out / f"{name}.prompt.bin", encode(range(200)))


def config_of(step, slot):
    tok = Tokenizer(models.BPE())
    setattr(tok, slot, step)
    return json.loads(tok.to_str())[slot]


def steps(rng, texts):
    """Pre-tokenisers and normalisers, alone, on texts that bring out their corners."""
    texts = rng.sample([t for t in texts if t], 60)
    texts += ["aXXbX", "XaX", "XX", "a-b--c", "--", "-", "1a22", "a1b", "\u0130I\u00df",
              "\ufb01 \u00bd", "a.b, c!"]
    cuts = [pre_tokenizers.Split(pattern, behavior, invert)
            for pattern in ("-", "X", Regex(r"\d+|X"), Regex(r"[\s\w]"), Regex("a*"), "a.b")
            for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next",
                             "contiguous")
            for invert in (False, True)]
    cuts += [pre_tokenizers.Digits(False), pre_tokenizers.Digits(True), pre_tokenizers.Whitespace(),
             pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(),
             pre_tokenizers.Punctuation("removed"), pre_tokenizers.ByteLevel(True),
             pre_tokenizers.ByteLevel(False, use_regex=False)]
    cuts += [pre_tokenizers.Metaspace("\u2581", scheme, split)
             for scheme in ("always", "first", "never") for split in (True, False)]
    cuts.append(pre_tokenizers.Sequence([pre_tokenizers.Split(" ", "merged_with_next", False),
                                         pre_tokenizers.Metaspace("_", "first"),
                                         pre_tokenizers.Digits(True)]))
    forms = [normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD(),
             normalizers.Lowercase(), normalizers.Prepend("_"), normalizers.Replace("a", "$1"),
             normalizers.Replace(Regex(r"\s+"), " "),
             normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()])]
    return {"pre_tokenizers": [[config_of(cut, "pre_tokenizer"), t,
                                [piece for piece, _ in cut.pre_tokenize_str(t)]]
                               for cut in cuts for t in rng.sample(texts[:60], 4) + texts[60:]],
            "normalizers": [[config_of(form, "normalizer"), t, form.normalize_str(t)]
                            for form in forms for t in rng.sample(texts[:60], 30) + texts[60:]]}


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def code_points(characters):
    """For every block of 256 code points, one hash of the result for all assigned ones in it.

    Patterns see `a{c} {c}1{c}{c}\\n` for each c; hashed are the ends of the pieces, in bytes.
    """
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    cuts = {"gpt2": gpt2, "smollm": smollm_cut(),
            "llama3": pre_tokenizers.Split(Regex(LLAMA3), "isolated", False),
            "qwen2": pre_tokenizers.Split(Regex(QWEN2), "isolated", False)}
    forms = {"NFC": normalizers.NFC(), "NFD": normalizers.NFD(), "NFKC": normalizers.NFKC(),
             "NFKD": normalizers.NFKD(), "Lowercase": normalizers.Lowercase()}
    blocks = {}
    for c in characters:
        blocks.setdefault(c // 256, []).append(c)
    result = {"blocks": [], "assigned": [], "hashes": {name: [] for name in [*cuts, *forms]}}
    for block, members in sorted(blocks.items()):
        result["blocks"].append(block)
        mask = sum(1 << (c % 256) for c in members)
        result["assigned"].append(f"{mask:064x}")
        text = "".join(f"a{chr(c)} {chr(c)}1{chr(c)}{chr(c)}\n" for c in members)
        for name, cut in cuts.items():
            ends = [len(text[:end].encode()) for _, (_, end) in cut.pre_tokenize_str(text)]
            data = b"".join(end.to_bytes(4, "little") for end in ends)
            result["hashes"][name].append(f"{fnv1a(data):016x}")
        for name, form in forms.items():
            data = b"\0".join(form.normalize_str(chr(c)).encode() for c in members)
            result["hashes"][name].append(f"{fnv1a(data):016x}")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--out", type=pathlib.Path,
                        default=pathlib.Path(__file__).parent / "text")
    args = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the order of merges must not vary
    args.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)
    characters = assigned()
    corpus = training_text(rng)
    texts = strings(rng, characters)
    (args.out / "strings.jsonl").write_text(
        "".join(json.dumps(t, ensure_ascii=False) + "\n" for t in texts), encoding="utf-8")

    def put(name, tok, keep=True):
        write_tokenizer(args.out, name, tok, texts, keep)

    gpt2 = byte_level(corpus, pre_tokenizers.ByteLevel(add_prefix_space=False), ["<|endoftext|>"])
    gpt2.post_processor = processors.ByteLevel(trim_offsets=False)
    put("gpt2", gpt2)
    put("smollm", byte_level(corpus, smollm_cut(), SPECIALS[:3]))
    put("llama3", make_llama3(corpus))
    put("qwen2", make_qwen2(corpus))
    put("flags", make_flags(corpus))
    put("smollm2", smollm2_json(args.model), keep=False)

    model = make_sentencepiece(corpus)
    arrays = sentencepiece_arrays(model)
    (args.out / "sentencepiece.json").write_text(
        json.dumps(arrays, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    write_ids(args.out / "sentencepiece.plain.bin",
              {i: model.encode(t) for i, t in enumerate(texts)})
    llama2 = llama2_json(arrays)
    put("llama2", llama2)
    put("metaspace", metaspace_json(llama2))

    for name, value in (("steps", steps(rng, texts)), ("code_points", code_points(characters))):
        (args.out / f"{name}.json").write_text(
            json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    versions = {p: importlib.metadata.version(p) for p in ("tokenizers", "sentencepiece", "gguf")}
    versions |= {"python": sys.version.split()[0], "unicode": unicodedata.unidata_version,
                 "strings": len(texts)}
    (args.out / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")


if __name__ == "__main__":
    main()
