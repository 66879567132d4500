# SPDX-License-Identifier: BSD-3-Clause
"""Loads a model with llama-cpp-python and makes one token.

usage: MODEL THREADS PROMPT, a text or 1,2,3
"""

import json
import sys

from llama_cpp import Llama

model, threads, prompt = sys.argv[1], int(sys.argv[2]), sys.argv[3]
llama = Llama(model, n_threads=threads, n_threads_batch=threads, verbose=False)
if prompt[0].isdigit():
    ids = [int(word) for word in prompt.split(",")]
else:
    ids = llama.tokenize(prompt.encode(), add_bos=False)
print(json.dumps({"ids": [next(llama.generate(ids, temp=0.0))]}))
