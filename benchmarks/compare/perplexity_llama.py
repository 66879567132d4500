# SPDX-License-Identifier: BSD-3-Clause
"""Perplexity of a text by llama.cpp over the windows of `xlens perplexity`, for a comparison.

usage: perplexity_llama.py XLENS MODEL.gguf TEXT [WINDOW]

Ids are those of `xlens tokenize`: a start token, if the model has one, begins every window.
"""

import json
import math
import subprocess
import sys

import llama_cpp as llama
import numpy as np


@llama.llama_log_callback
def silent(_level, _text, _data):
    pass


def ids_of(program, model, path):
    text = open(path, encoding="utf-8").read()
    command = [program, "tokenize", model, "--json", "--text"]
    run = lambda words: json.loads(subprocess.check_output([*command, words]))["ids"]
    prefix = run("")
    return prefix, run(text)[len(prefix):]


def main():
    program, path, text = sys.argv[1:4]
    window = int(sys.argv[4]) if len(sys.argv) > 4 else 512
    prefix, ids = ids_of(program, path, text)
    llama.llama_log_set(silent, None)
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    words = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    how = llama.llama_context_default_params()
    how.n_ctx = how.n_batch = how.n_ubatch = window
    context = llama.llama_init_from_model(model, how)
    total, count = 0.0, 0
    step = window - len(prefix)
    for first in range(0, len(ids), step):
        part = prefix + ids[first : first + step]
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        batch = llama.llama_batch_init(len(part), 0, 1)
        batch.n_tokens = len(part)
        for i, token in enumerate(part):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, i, 1
            batch.seq_id[i][0], batch.logits[i] = 0, True
        if llama.llama_decode(context, batch):
            sys.exit("llama_decode failed")
        for i, following in enumerate(part[1:]):
            logits = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, i), (words,))
            logits = logits.astype(np.float64)
            best = logits.max()
            total += best + math.log(np.exp(logits - best).sum()) - logits[following]
            count += 1
        llama.llama_batch_free(batch)
    print(f"{count} tokens, perplexity {math.exp(total / count):.4f}")


if __name__ == "__main__":
    main()
