# SPDX-License-Identifier: BSD-3-Clause
"""Makes tests/golden/tokenizers: tokenizers of many kinds, and what reference libraries make of
3,000 strings with each.

    python make_tokenizers.py [--out tests/golden/tokenizers]

The vocabularies are small and trained here, on the text of make_text.py; normalisers,
pre-tokenisers, decoders and post-processors are those of the real models. Seeded; but the trainer
of WordPiece (bert.json, bert_cased.json) breaks ties anew each time. Files:
  strings.jsonl     strings that follow those of text/strings.jsonl, 3,000 with them
  NAME.json         a tokenizer.json; NAME.model: a SentencePiece model
  NAME.ids          see below
  models.json       SentencePiece models as the arrays of a GGUF file
  folders.json      folders, and the ids that transformers' AutoTokenizer gives: see folders()
  steps.json        normalisers and pre-tokenisers one by one, as text/steps.json
An .ids file has for every string two little-endian 32-bit numbers, the FNV-1a hashes of its ids (32
bits each) with special tokens taken as plain text, and parsed, between the tokens around a prompt.
So an id that differs shows, but not which; print_ids of this script prints them.
"""

import argparse
import base64
import io
import json
import os
import pathlib
import random
import re
import shutil
import struct
import sys
import tempfile

import sentencepiece
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

import make_text
from make_text import LLAMA3, byte_level, split_cut, word

SEED = 20260712
HERE = pathlib.Path(__file__).parent
COUNT = 3000
PATTERNS = HERE.parent.parent / "include/xlens/text/patterns.hpp"
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
         r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
         r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = GPT4O.replace(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace(r"\p{N}{1,3}", r"\p{N}")
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+|"
          r" ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s")
BLOOM = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"
DEEPSEEK3 = [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
             r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"
             r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
             r"\s*[\r\n]+|\s+(?!\S)|\s+"]
CODER = ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"]


def more_strings(rng, have, characters):
    """Strings that the kinds here tell apart and text/strings.jsonl has few of."""
    pieces = ["\uff21\uff22", "\ufb01", "\u00bd", "\u2460", "\u3000", "\u00a0", "e\u0301", "\u0130",
              "\u01c5", "\u1e9e", "Stra\u00dfe", "NA\u00cfVE", "\u4e2d\u6587", "\u304b\u3099",
              "\ud55c\uad6d", "\u0e01\u0e33", "don't", "I'LL", "we've", "A.B.C.", "x_y", "a-b",
              "123456", "3.14", "1,000", "\u0661\u0662\u0663\u0664", "v2", "2nd", "\t", "\n",
              "\r\n",
              "  ", "    ", "\u2581", "\u2581x", "[CLS]", "[MASK]", "##ing", "<0x41>", "<sep>",
              "camelCase", "HTTPServer", "snake_case", "\u200b", "\u200d", "\ufeff", "\x01",
              "\U0001f600", "http://a.b/c?d=e", "(a)", "\"q\"", "\u201cq\u201d", "\u2014", "...",
              "supercalifragilistic" * 6, "\u0915\u094d\u0937", "\u1112\u1161\u11ab",
              "<extra_id_0>"]
    out = []
    while len(have) + len(out) < COUNT:
        kind = rng.randrange(4)
        if kind == 0:
            text = " ".join(rng.choice(pieces) for _ in range(rng.randint(1, 5)))
        elif kind == 1:
            text = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 6)))
        elif kind == 2:
            text = "".join(chr(rng.choice(characters)) for _ in range(rng.randint(1, 6)))
        else:
            text = rng.choice(["", " "]).join(word(rng) + rng.choice(["", ".", "'s", "7"])
                                              for _ in range(rng.randint(1, 4)))
        if text not in have and text not in out:
            out.append(text)
    return out


def isolated(patterns, *more):
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(p), "isolated", False) for p in patterns] +
        [*more, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_levels(corpus):
    """Byte-level BPE, cut as the families do."""
    letters = re.search(r'deepseek_letters =(.*?);', PATTERNS.read_text(), re.S)[1]
    letters = "".join(re.findall(r'"(.*?)"', letters)).encode().decode("unicode_escape")
    punctuation = r"\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+"
    cuts = {
        "deepseek_llm": isolated(["[\r\n]", letters, punctuation.replace("\\s", r"\s"), r"\s+$",
                                  CODER[3]], pre_tokenizers.Digits(True)),
        "deepseek_coder": isolated(CODER, pre_tokenizers.Digits(True)),
        "deepseek3": isolated(DEEPSEEK3),
        "gpt4o": isolated([GPT4O]),
        "tekken": isolated([TEKKEN]),
        "cl100k": isolated([CL100K]),
        "bloom": isolated([BLOOM]),
        "tiny_aya": isolated([r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O]),
        "superbpe": isolated([r"\p{N}+", r"(?=(\d{3})+(?!\d))"]),
        "falcon": pre_tokenizers.Sequence([
            pre_tokenizers.Punctuation("contiguous"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            pre_tokenizers.Digits(False), pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"),
                                                               "isolated", False)]),
        "starcoder": pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False)]),
    }
    out = {}
    for name, cut in cuts.items():
        tok = byte_level(corpus, cut, ["<|endoftext|>"], None, 420)
        out[name] = tok
    neox = byte_level(corpus, pre_tokenizers.ByteLevel(add_prefix_space=False),
                      ["<|endoftext|>"], normalizers.NFC(), 420)
    neox.add_tokens([AddedToken(" " * k, normalized=True) for k in range(2, 9)])
    neox.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    out["gpt_neox"] = neox
    roberta = byte_level(corpus, pre_tokenizers.ByteLevel(add_prefix_space=True),
                         ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], None, 420)
    roberta.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    roberta.post_processor = processors.RobertaProcessing(
        ("</s>", roberta.token_to_id("</s>")), ("<s>", roberta.token_to_id("<s>")))
    out["roberta"] = roberta
    return out


def make_gemma(corpus):
    """BPE of UTF-8 with byte fallback; spaces are marked and end a piece."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.normalizer = normalizers.Replace(" ", "\u2581")
    tok.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous", False)
    tok.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(),
                                     decoders.Fuse()])
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=800, show_progress=False, limit_alphabet=150, max_token_length=8,
        special_tokens=specials + [f"<0x{b:02X}>" for b in range(256)])
    tok.train_from_iterator([line.replace("\u2581", "") for line in corpus[:3000]], trainer)
    state = json.loads(tok.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] in specials]
    tok = Tokenizer.from_str(json.dumps(state))
    tok.post_processor = processors.TemplateProcessing(single="<bos> $A",
                                                       special_tokens=[("<bos>", 2)])
    tok.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("<tag>", normalized=False)])
    return tok


def make_bert(corpus, cased):
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tok.normalizer = normalizers.BertNormalizer(lowercase=not cased, strip_accents=None)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    tok.train_from_iterator(corpus, trainers.WordPieceTrainer(
        vocab_size=700, show_progress=False, limit_alphabet=220,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    ids = {t: tok.token_to_id(t) for t in ("[CLS]", "[SEP]")}
    tok.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=list(ids.items()))
    return tok


def rules():
    """A part of NFKC, and rules that are no normal form, as sentencepiece reads them."""
    pairs = {chr(c): chr(c - 0xFEE0) for c in range(0xFF01, 0xFF5F)}
    pairs |= {"\ufb01": "fi", "\ufb02": "fl", "\u00bd": "1\u20442", "\u2460": "1", "\u3000": " ",
              "\u00a0": " ", "\t": " ", "\n": " ", "\r": " ", "e\u0301": "\u00e9",
              "\u200b": "", "\ufeff": "", "\u304b\u3099": "\u304c", "\u0130": "i", "\u1e9e": "ss",
              "\u2026": "...", "\u01c5": "D\u017e", "a\u0300\u0301": "\u00e0",
              "\uff21\uff22": "Q"}  # the longest rule wins, or Hugging Face's shortest
    return "".join(" ".join(f"{ord(c):X}" for c in source) + "\t" +
                   " ".join(f"{ord(c):X}" for c in target) + "\n"
                   for source, target in pairs.items())


def pieces(corpus, kind, **options):
    stream = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rules.tsv"
        path.write_text(rules(), encoding="utf-8")
        if options.pop("mapped", False):
            options["normalization_rule_tsv"] = str(path)
        else:
            options["normalization_rule_name"] = "identity"
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus), model_writer=stream, model_type=kind,
            character_coverage=0.98, num_threads=1, minloglevel=2, **options)
    model = proto_of(stream.getvalue())
    model.normalizer_spec.normalization_rule_tsv = ""  # a path of this run
    return model.SerializeToString()


def piece_models(corpus):
    few = [line for line in corpus[::3] if "\u2581" not in line]
    return {
        "spm_bpe": pieces(few, "bpe", vocab_size=1000, byte_fallback=True,
                          user_defined_symbols=["<tag>", "snake_case", "  "],
                          remove_extra_whitespaces=False),
        "spm_bpe_mapped": pieces(few, "bpe", vocab_size=800, mapped=True),
        "spm_unigram": pieces(few, "unigram", vocab_size=800, mapped=True),
        "spm_unigram_bytes": pieces(few, "unigram", vocab_size=1000, byte_fallback=True,
                                    user_defined_symbols=["<tag>", "snake_case", "\n"],
                                    remove_extra_whitespaces=False, split_digits=True),
        "spm_suffix": pieces(few, "unigram", vocab_size=800, treat_whitespace_as_suffix=True),
        "spm_plain": pieces(few, "bpe", vocab_size=800, add_dummy_prefix=False,
                            remove_extra_whitespaces=False),
    }


def unused(data):
    """The model with every ninth normal piece of two characters or more marked as unused."""
    model = proto_of(data)
    count = 0
    for piece in model.pieces:
        if piece.type == 1 and len(piece.piece) > 1:
            count += 1
            if count % 9 == 0:
                piece.type = 5
    return model.SerializeToString()


def proto_of(data):
    from sentencepiece import sentencepiece_model_pb2 as proto
    return proto.ModelProto.FromString(data)


def unigram(data, cuts, normal, decoder, specials, suffix=None, byte_fallback=False):
    """A Unigram tokenizer.json of a SentencePiece model's pieces, as transformers converts them."""
    vocabulary = [(p.piece, p.score) for p in proto_of(data).pieces]
    tok = Tokenizer(models.Unigram(vocabulary, 0, byte_fallback))
    if normal:
        tok.normalizer = normal
    if cuts:
        tok.pre_tokenizer = cuts
    tok.decoder = decoder
    tok.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in specials])
    if suffix:
        tok.post_processor = processors.TemplateProcessing(
            single=f"$A {suffix}", special_tokens=[(suffix, tok.token_to_id(suffix))])
    return tok


def unigrams(found):
    mapped = proto_of(found["spm_unigram"])
    table = mapped.normalizer_spec.precompiled_charsmap
    mark = decoders.Metaspace("\u2581", prepend_scheme="always", split=True)

    def metaspace(scheme="always"):
        return pre_tokenizers.Metaspace("\u2581", prepend_scheme=scheme)

    names = ["<unk>", "<s>", "</s>"]
    return {
        "t5": unigram(found["spm_unigram"],
                      pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace()]),
                      normalizers.Precompiled(table), mark, names, "</s>"),
        "xlm_roberta": unigram(found["spm_unigram"], metaspace(), normalizers.Sequence([
            normalizers.Precompiled(table), normalizers.Replace(Regex(" {2,}"), " ")]), mark,
            names),
        "albert": unigram(found["spm_unigram"], metaspace(), normalizers.Sequence([
            normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(),
            normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Precompiled(table),
            normalizers.Strip(False, True)]), mark, names),
        "unigram_bytes": unigram(found["spm_unigram_bytes"], metaspace(),
                                 normalizers.Nmt(), mark, names, byte_fallback=True),
    }


def fnv1a(ids):
    value = 0x811C9DC5
    for byte in struct.pack(f"<{len(ids)}I", *ids):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def hidden(tok):
    """The tokenizer whose special tokens no text contains: what `tok` does to plain text. Its own
    switch, encode_special_tokens, leaves them in the vocabulary of Unigram."""
    state = json.loads(tok.to_str())
    special = {t["content"]: chr(0xF0000 + t["id"]) for t in state["added_tokens"] if t["special"]}
    state["added_tokens"] = [t for t in state["added_tokens"] if not t["special"]]
    state["post_processor"] = None
    vocabulary = state["model"]["vocab"]
    if isinstance(vocabulary, list):
        for entry in vocabulary:
            entry[0] = special.get(entry[0], entry[0])
        return Tokenizer.from_str(json.dumps(state)), None
    return tok, True


def ids_of(tok, texts):
    plain, switch = hidden(tok)
    out = []
    for text in texts:
        if switch:
            plain.encode_special_tokens = True
        first = plain.encode(text, add_special_tokens=False).ids
        if switch:
            plain.encode_special_tokens = False
        out.append((first, tok.encode(text).ids))
    return out


def write_hashes(path, rows):
    path.write_bytes(b"".join(struct.pack("<II", fnv1a(a), fnv1a(b)) for a, b in rows))


def arrays(data):
    """As llama.cpp's converter writes them."""
    model = proto_of(data)
    return {"tokens": [p.piece for p in model.pieces], "scores": [p.score for p in model.pieces],
            "types": [p.type for p in model.pieces],
            "add_space_prefix": model.normalizer_spec.add_dummy_prefix,
            "remove_extra_whitespaces": model.normalizer_spec.remove_extra_whitespaces,
            "charsmap": base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()}


def folders(texts, found):
    """Folders of files, and what AutoTokenizer gives for some texts: {"files": {name: content or
    "@" + a file of this folder or of text/}, "ids": [[...]]}."""
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    from transformers import AutoTokenizer
    gpt2 = json.loads((HERE / "text/gpt2.json").read_text())
    merges = "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in gpt2["model"]["merges"])
    end = "<|endoftext|>"
    flags = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
    size = len(gpt2["model"]["vocab"])
    pair = {"vocab.json": gpt2["model"]["vocab"], "merges.txt": merges}
    cases = {
        "gpt2_files": {"config.json": {"model_type": "gpt2"}, **pair},
        "opt_files": {"config.json": {"model_type": "opt"}, **pair, "tokenizer_config.json": {
            "tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "bos_token": end}},
        "qwen2_files": {"config.json": {"model_type": "qwen2"}, **pair, "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer", "add_bos_token": False}},
        "neox_files": {"config.json": {"model_type": "gpt_neox"}, **pair},
        "prefix_files": {"config.json": {"model_type": "gpt2"}, **pair, "tokenizer_config.json": {
            "tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True}},
        "decoder_tokens": {
            "config.json": {"model_type": "gpt_neox"}, "tokenizer.json": "@text/gpt2.json",
            "tokenizer_config.json": {
                "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": end,
                "added_tokens_decoder": {
                    "0": {"content": end, "special": True, **flags},
                    str(size): {"content": "<sep>", "special": True, **flags},
                    str(size + 1): {"content": "<tag>", "special": False, **flags,
                                    "lstrip": True}}}},
        "added_tokens": {
            "config.json": {"model_type": "gpt_neox"}, "tokenizer.json": "@text/gpt2.json",
            "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"},
            "special_tokens_map.json": {"eos_token": end, "sep_token": "<sep>"},
            "added_tokens.json": {"<sep>": size, "<tag>": size + 1}},
        "template_stands": {
            "config.json": {"model_type": "llama"}, "tokenizer.json": "@text/llama3.json",
            "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast",
                                      "bos_token": "<|begin_of_text|>", "add_bos_token": False,
                                      "add_eos_token": True, "eos_token": "<|eot_id|>"}},
        "flags_of_others": {
            "config.json": {"model_type": "gpt2"}, "tokenizer.json": "@text/gpt2.json",
            "tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True,
                                      "bos_token": end, "eos_token": end}},
    }
    out = {}
    for name, files in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            for file, content in files.items():
                path = pathlib.Path(folder) / file
                if isinstance(content, str) and content.startswith("@"):
                    shutil.copy(HERE / content[1:], path)
                else:
                    path.write_text(content if isinstance(content, str) else json.dumps(content))
            tok = AutoTokenizer.from_pretrained(folder)
            ids = [tok.encode(t) for t in texts]
        small = {f: "@vocab" if f == "vocab.json" else "@merges" if f == "merges.txt" else c
                 for f, c in files.items()}
        out[name] = {"files": small, "ids": ids}
    return {"texts": texts, "cases": out}


def steps(rng, texts):
    """As make_text.steps, for the steps that only these kinds have."""
    chosen = rng.sample([t for t in texts if t], 120)
    forms = [normalizers.Strip(), normalizers.Strip(True, False), normalizers.Strip(False, True),
             normalizers.StripAccents(), normalizers.Nmt(), normalizers.BertNormalizer(),
             normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False,
                                        strip_accents=True, lowercase=False),
             normalizers.BertNormalizer(strip_accents=False, lowercase=True)]
    cuts = [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.CharDelimiterSplit("a"),
            pre_tokenizers.Split(Regex(r"\b"), "isolated"),
            pre_tokenizers.Split(Regex(r"\B"), "isolated"),
            pre_tokenizers.Split(Regex(r"[\w\d]{1,2}+"), "isolated")]
    config = make_text.config_of
    return {"normalizers": [[config(f, "normalizer"), t, f.normalize_str(t)]
                            for f in forms for t in rng.sample(chosen, 40)],
            "pre_tokenizers": [[config(c, "pre_tokenizer"), t,
                                [p for p, _ in c.pre_tokenize_str(t)]]
                               for c in cuts for t in rng.sample(chosen, 40)]}


def all_texts(out):
    lines = (HERE / "text/strings.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    lines += (out / "strings.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def print_ids(out, name, line):
    text = all_texts(out)[line]
    print(json.dumps(text))
    if (out / f"{name}.model").exists():
        model = sentencepiece.SentencePieceProcessor(str(out / f"{name}.model"))
        print(model.encode(text), model.encode(text, out_type=str))
        return
    path = out / f"{name}.json"
    tok = Tokenizer.from_file(str(path if path.exists() else HERE / "text" / f"{name}.json"))
    for ids in ids_of(tok, [text])[0]:
        print(ids, [tok.id_to_token(i) for i in ids])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "tokenizers")
    parser.add_argument("--print-ids", nargs=2, metavar=("NAME", "LINE"))
    args = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if args.print_ids:
        print_ids(args.out, args.print_ids[0], int(args.print_ids[1]))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)
    corpus = make_text.training_text(random.Random(make_text.SEED))
    have = [json.loads(line) for line in
            (HERE / "text/strings.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    extra = more_strings(rng, have, make_text.assigned())
    (args.out / "strings.jsonl").write_text(
        "".join(json.dumps(t, ensure_ascii=False) + "\n" for t in extra), encoding="utf-8")
    texts = have + extra

    found = piece_models(corpus)
    found["spm_unused"] = unused(found["spm_bpe"])
    for name, data in found.items():
        (args.out / f"{name}.model").write_bytes(data)
        model = sentencepiece.SentencePieceProcessor(model_proto=data)
        write_hashes(args.out / f"{name}.ids", [(model.encode(t),) * 2 for t in texts])
    (args.out / "models.json").write_text(json.dumps(
        {name: arrays(found[name]) for name in ("spm_unigram", "spm_unigram_bytes")},
        ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")

    made = byte_levels(corpus) | unigrams(found)
    made |= {"gemma": make_gemma(corpus), "bert": make_bert(corpus, False),
             "bert_cased": make_bert(corpus, True)}
    for name, tok in made.items():
        (args.out / f"{name}.json").write_text(
            json.dumps(json.loads(tok.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n",
            encoding="utf-8")
        write_hashes(args.out / f"{name}.ids", ids_of(tok, texts))
    for name in ("gpt2", "smollm", "llama3", "qwen2", "flags", "llama2", "metaspace"):
        tok = Tokenizer.from_file(str(HERE / "text" / f"{name}.json"))
        write_hashes(args.out / f"{name}.ids", ids_of(tok, texts))
    for name, value in (("steps", steps(rng, texts)),
                        ("folders", folders(rng.sample(texts, 25) +
                                            ["", "a b", " a", "a<sep>b", "a <tag> b",
                                             "a<|endoftext|>b", "e\u0301"], found))):
        (args.out / f"{name}.json").write_text(
            json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
