# SPDX-License-Identifier: BSD-3-Clause
"""Loads a model with transformers and makes one token.   MODEL THREADS PROMPT"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

model, threads, prompt = sys.argv[1], int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(threads)
tokenizer = AutoTokenizer.from_pretrained(model)
network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
made = network.generate(ids, max_new_tokens=1, do_sample=False)
print(json.dumps({"ids": made[0, ids.shape[1] :].tolist()}))
