# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch, float32, through transformers with its key-value cache; the lens by hooks."""

from functools import cache
from pathlib import Path

import torch
import torch.utils.mkldnn
import transformers
from safetensors import safe_open

from worker import IDS, MODEL, REPEATS, THREADS, TOLD, Stopwatch, answer, serve

torch.set_num_threads(THREADS)
torch.set_grad_enabled(False)


@cache
def model(dtype=torch.float32):
    return transformers.AutoModelForCausalLM.from_pretrained(MODEL, dtype=dtype).eval()


@cache
def compiled():
    """What torch.compile makes of a pass: the round that does not count is where it does."""
    return torch.compile(model().forward)


@cache
def tensor(name):
    with safe_open(f"{MODEL}/model.safetensors", "pt") as file:
        return file.get_tensor(name)


def unembedding():
    return tensor("model.embed_tokens.weight")


@cache
def read(context):
    """The cache after the first tokens, and the next one."""
    result = model()(torch.tensor([IDS[:context]]), use_cache=True, logits_to_keep=1)
    return result.past_key_values, int(result.logits[0, -1].argmax())


def decode(context, count):
    past, first = read(context)
    if past.get_seq_length() > context:
        past.crop(context - past.get_seq_length())  # takes off as many
    ids = [first]
    with Stopwatch() as watch:
        for _ in range(count):
            result = model()(torch.tensor([ids[-1:]]), past_key_values=past, use_cache=True)
            ids.append(int(result.logits[0, -1].argmax()))
    return answer(watch.seconds, ids)


def decode_compiled(context, count):
    """Keys and values are in tensors that keep their size, so that one program is enough."""
    past = transformers.StaticCache(config=model().config, max_cache_len=context + count)
    result = model()(torch.tensor([IDS[:context]]), past_key_values=past, logits_to_keep=1)
    ids = [int(result.logits[0, -1].argmax())]
    with Stopwatch() as watch:
        for _ in range(count):
            result = compiled()(torch.tensor([ids[-1:]]), past_key_values=past)
            ids.append(int(result.logits[0, -1].argmax()))
    return answer(watch.seconds, ids)


def prefill(count, run=None):
    ids = torch.tensor([IDS[:count]])
    run = run or model()
    with Stopwatch() as watch:
        top = run(ids, use_cache=True, logits_to_keep=1).logits[0, -1].topk(10)
    return answer(watch.seconds, top.indices, score=top.values)


def prefill_bf16(count):
    flags = Path("/proc/cpuinfo").read_text().split()
    if not {"avx512_bf16", "amx_bf16"} & set(flags):
        return {"error": "this processor has no products in bf16"}
    return prefill(count, model(torch.bfloat16))


def unembed(k):
    e = unembedding()
    x = e[IDS[0]].clone()
    with Stopwatch() as watch:
        for _ in range(REPEATS):
            top = torch.topk(e @ x, k)
    return answer(watch.seconds / REPEATS, top.indices, score=top.values)


def project(layers, k, batch=512):
    """One end only."""
    e = unembedding()
    weights = [tensor(f"model.layers.{l}.mlp.down_proj.weight") for l in range(layers)]
    with Stopwatch() as watch:
        tops = [torch.topk(v @ e.T, k) for w in weights for v in w.T.split(batch)]
    ids = torch.cat([top.indices for top in tops])[::TOLD]
    scores = torch.cat([top.values for top in tops])[::TOLD]
    return answer(watch.seconds, ids.flatten(), score=scores.flatten())


class Seen:
    """Records what every layer's FFN update meets, by forward hooks."""

    def __init__(self, layers):
        self.before, self.coefficients, self.after = [], [], []
        for layer in layers:
            layer.post_attention_layernorm.register_forward_pre_hook(
                lambda _, x: self.before.append(x[0][0])
            )
            layer.mlp.down_proj.register_forward_pre_hook(
                lambda _, x: self.coefficients.append(x[0][0])
            )
            layer.register_forward_hook(
                lambda _, x, y: self.after.append(y[0] if y.dim() == 3 else y)
            )

    def clear(self):
        for record in (self.before, self.coefficients, self.after):
            record.clear()


@cache
def observed():
    layers = model().model.layers
    return Seen(layers), [layer.mlp.down_proj.weight.norm(dim=0) for layer in layers]


def best_tokens(logits):
    """The ten best tokens of each row, and their exact probabilities."""
    top = logits.topk(10)
    return top.indices, (top.values - logits.logsumexp(1, keepdim=True)).exp()


def reading(residuals):
    return best_tokens(model().lm_head(model().model.norm(residuals)))


def dominant(coefficients, norms):
    top = (coefficients.abs() * norms).topk(10).indices
    return top, coefficients.gather(1, top)


def trace(count):
    seen, norms = observed()
    ids = torch.tensor([IDS[:count]])
    seen.clear()
    with Stopwatch() as watch:
        model().model(ids, use_cache=True)
        found = [
            (reading(before), reading(after), dominant(m, n))
            for before, after, m, n in zip(seen.before, seen.after, seen.coefficients, norms)
        ]
    return traced(watch.seconds, found)


def traced(seconds, found):
    """One answer of (before, after, dominant) of every layer: (ids, numbers) of all positions."""
    ids, probabilities, coefficients = [], [], []
    for before, after, sub_updates in found:
        for position in range(0, len(before[0]), TOLD):
            for part, numbers in (
                (before, probabilities),
                (after, probabilities),
                (sub_updates, coefficients),
            ):
                ids += part[0][position].tolist()
                numbers += part[1][position].tolist()
    return answer(seconds, ids, probability=probabilities, coefficient=coefficients)


@cache
def room(count, dtype):
    return torch.empty(count, len(unembedding()), dtype=dtype)


def matmul(count, dtype=torch.float32):
    e = unembedding().to(dtype)
    x = e[:count].clone()
    out = room(count, dtype)
    with Stopwatch() as watch:
        torch.mm(x, e.T, out=out)
    return product(watch.seconds, out)


def matmul_onednn(count):
    """By oneDNN's own inner product, which torch.mm leaves aside for float32."""
    e = torch.utils.mkldnn.to_mkldnn(linear())
    x = unembedding()[:count].clone().to_mkldnn()
    with Stopwatch() as watch:
        out = e(x)
    return product(watch.seconds, out.to_dense())


@cache
def linear():
    out = torch.nn.Linear(1, 1, bias=False)
    out.weight = torch.nn.Parameter(unembedding(), requires_grad=False)
    return out.eval()


def product(seconds, out):
    some = [out[i, i::4096] for i in range(0, len(out), TOLD)]
    return answer(seconds, product=torch.cat(some))


if __name__ == "__main__":
    serve(
        decode=decode,
        decode_compiled=decode_compiled,
        prefill=prefill,
        prefill_compiled=lambda count: prefill(count, compiled()),
        prefill_bf16=prefill_bf16,
        unembed=unembed,
        project=project,
        trace=trace,
        matmul=matmul,
        matmul_onednn=matmul_onednn,
        matmul_bf16=lambda count: matmul(count, torch.bfloat16),
    )
