# SPDX-License-Identifier: BSD-3-Clause
"""llama.cpp through the C interface of llama-cpp-python, with its own defaults."""

from functools import cache

import llama_cpp as llama
import numpy as np

from worker import IDS, MODEL, THREADS, Stopwatch, answer, serve

SEQUENCE = 0


@llama.llama_log_callback
def silent(_level, _text, _data):
    pass


llama.llama_log_set(silent, None)
llama.llama_backend_init()
model = llama.llama_model_load_from_file(MODEL.encode(), llama.llama_model_default_params())
words = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))


class Context:
    """Room for `size` tokens, and what has been read of them."""

    def __init__(self, size):
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = size
        parameters.n_batch = parameters.n_ubatch = 512
        parameters.n_threads = parameters.n_threads_batch = THREADS
        self.handle = llama.llama_init_from_model(model, parameters)

    def truncate(self, count):
        memory = llama.llama_get_memory(self.handle)
        llama.llama_memory_seq_rm(memory, SEQUENCE, count, -1)

    def read(self, ids):
        """Logits after these tokens."""
        for first in range(0, len(ids), 512):
            part = ids[first : first + 512]
            tokens = (llama.llama_token * len(part))(*part)
            if llama.llama_decode(self.handle, llama.llama_batch_get_one(tokens, len(part))):
                raise RuntimeError("llama_decode failed")
        return np.ctypeslib.as_array(llama.llama_get_logits_ith(self.handle, -1), (words,))


@cache
def read(context):
    fresh = Context(context + 128)
    return fresh, int(fresh.read(IDS[:context]).argmax())


@cache
def empty(count):
    return Context(count)


def decode(context, count):
    state, first = read(context)
    state.truncate(context)
    ids = [first]
    with Stopwatch() as watch:
        for _ in range(count):
            ids.append(int(state.read(ids[-1:]).argmax()))
    return answer(watch.seconds, ids)


def prefill(count):
    state = empty(count)
    state.truncate(0)
    with Stopwatch() as watch:
        logits = state.read(IDS[:count])
        top = np.argpartition(logits, -10)[-10:]
    top = top[np.argsort(-logits[top])]
    return answer(watch.seconds, top, score=logits[top])


if __name__ == "__main__":
    serve(decode=decode, prefill=prefill)
