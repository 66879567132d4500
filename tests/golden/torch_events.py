# SPDX-License-Identifier: BSD-3-Clause
"""Saturation and elimination events with PyTorch: what include/xlens/events computes, written
from the definitions of Geva et al. 2022, a layer at a time over all positions of a window. Used by
make_events.py, and to compare speed:

usage: python torch_events.py FOLDER IDS COUNT [WINDOW]     a Hugging Face folder, a file of ids
"""

import sys
import time
from pathlib import Path

import torch
import transformers

MASK = (1 << 64) - 1
NEURON, MEASURED = 1, 3  # purposes of random numbers
GROUPS = ("dominant", "random")
FORMS = ("folded", "folded_centred", "raw", "raw_centred")


def mixed(seed, *numbers):
    """SplitMix64 over each number in turn."""
    state = seed
    for x in (*numbers, *[0] * (3 - len(numbers))):
        state = (state + 0x9E3779B97F4A7C15 + x) & MASK
        state = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & MASK
        state = ((state ^ state >> 27) * 0x94D049BB133111EB) & MASK
        state ^= state >> 31
    return state


def random_neurons(seed, position, layer, width, k):
    out, tries = [], 0
    while len(out) < k:
        index = mixed(mixed(seed, NEURON), position, layer, tries) % width
        tries += 1
        if index not in out:
            out.append(index)
    return out


class EventReader:
    """Events of windows of text. `exact` draws random sub-updates as xlens does, which takes Python
    a while; otherwise torch draws them."""

    def __init__(self, model, k=10, seed=0, measured=8, skipped=1, exact=True):
        self.model, self.k, self.seed, self.exact = model, k, seed, exact
        self.measured, self.skipped = measured, skipped
        self.gain, self.e = model.model.norm.weight, model.lm_head.weight
        self.mean = self.e.double().mean(0).float()
        self.seen = {name: [] for name in ("before", "m", "after")}
        keep = lambda name, x: self.seen[name].append((x[0] if isinstance(x, tuple) else x)[0])
        self.values, self.norms, self.controls = [], [], []
        for layer in model.model.layers:
            layer.post_attention_layernorm.register_forward_pre_hook(
                lambda _, x: keep("before", x)
            )
            layer.mlp.down_proj.register_forward_pre_hook(lambda _, x: keep("m", x))
            layer.register_forward_hook(
                lambda _, x, y: keep("after", y if y.dim() == 3 else (y[0],))
            )
            v = layer.mlp.down_proj.weight.T.contiguous()
            self.values.append(v)
            self.norms.append(v.norm(dim=1))
            self.controls.append(v.mean(0) + v.std(0, correction=0) * torch.randn(128, v.shape[1]))

    def read(self, ids, first):
        """One window whose first token has this position: a dict of tensors (L, T, ...)."""
        for record in self.seen.values():
            record.clear()
        self.model.model(torch.tensor([ids]))
        layers = [self.layer(l, first) for l in range(len(self.values))]
        out = {name: torch.stack([x[name] for x in layers]) for name in layers[0]}
        return out | {"events": self.find(out, first)}

    def logits(self, x):
        return self.model.lm_head(self.model.model.norm(x))

    def layer(self, l, first):
        before, m, after = (self.seen[name][l] for name in ("before", "m", "after"))
        logits_before, logits_after = self.logits(before), self.logits(after)
        old, new = logits_before.argmax(1), logits_after.argmax(1)
        dominance = m.abs() * self.norms[l]
        top = dominance.topk(self.k, dim=1)
        update = after - before
        partial = torch.einsum("tk,tkd->td", m.gather(1, top.indices), self.values[l][top.indices])
        out = {
            "old": old,
            "new": new,
            "dominance_share": top.values.sum(1) / dominance.sum(1),
            "norm_share": partial.norm(dim=1) / update.norm(dim=1),
        }
        picked = {"dominant": top.indices, "random": self.random(l, first, m)}
        changed = old != new
        logs = torch.full((4, len(old)), float("nan"))
        for i, (logits, w) in enumerate(
            ((logits_before, old), (logits_after, old), (logits_before, new), (logits_after, new))
        ):
            rows = logits[changed]
            logs[i, changed] = rows.gather(1, w[changed, None])[:, 0] - rows.logsumexp(1)
        out["old_logs"], out["new_logs"] = logs[:2].T, logs[2:].T
        for name, w in (("old", old), ("new", new)):
            e = self.e[w]
            out[f"{name}_whole"] = torch.stack(
                ((e * self.gain * update).sum(1), ((e - self.mean) * self.gain * update).sum(1)), 1
            )
            rows = slice(None) if name == "old" else changed  # saturations are among the changed
            for group in GROUPS:
                index = picked[group][rows]
                v, c = self.values[l][index], m[rows].gather(1, index)
                scores = torch.zeros(len(w), len(FORMS), 3)
                scores[rows] = self.summaries(e[rows], v, c)
                out[f"{name}_{group}"] = scores
            controls = self.controls[l][torch.randint(128, (len(w), self.k))]
            self.summaries(e[rows], controls[rows], m.gather(1, top.indices)[rows])
        return out

    def random(self, l, first, m):
        count, width = m.shape
        if not self.exact:
            return torch.rand(count, width).topk(self.k, dim=1).indices
        return torch.tensor(
            [random_neurons(self.seed, first + t, l, width, self.k) for t in range(count)]
        )

    def summaries(self, e, v, m):
        """(T, form, mean max min) of m_i·<e, v_i>."""
        forms = (e * self.gain, (e - self.mean) * self.gain, e, e - self.mean)
        out = []
        for direction in forms:
            scores = m * torch.einsum("td,tkd->tk", direction, v)
            out.append(torch.stack((scores.mean(1), scores.amax(1), scores.amin(1)), 1))
        return torch.stack(out, 1)

    def find(self, out, first):
        """(position, layer, kind, token, other, measured) of every event."""
        old, new = out["old"].T.tolist(), out["new"].T.tolist()
        events, last = [], len(old[0]) - 1
        for t in range(self.skipped, len(old)):
            final, saturation = new[t][last], last
            while saturation > 0 and new[t][saturation - 1] == final:
                saturation -= 1
            for l in range(last + 1):
                if l == saturation < last and old[t][l] != final:
                    events.append((first + t, l, "saturation", final, old[t][l], True))
                if old[t][l] != new[t][l]:
                    drawn = mixed(mixed(self.seed, MEASURED), first + t, l) % self.measured == 0
                    events.append((first + t, l, "elimination", old[t][l], new[t][l], drawn))
        return events


def main():
    folder, ids, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    window = int(sys.argv[4]) if len(sys.argv) > 4 else 512
    ids = [int(word) for word in Path(ids).read_text().split()][:count]
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    reader = EventReader(model, exact=False)
    start, used = time.perf_counter(), time.process_time()
    events = 0
    for first in range(0, count, window):
        events += len(reader.read(ids[first : first + window], first)["events"])
    seconds, used = time.perf_counter() - start, time.process_time() - used
    print(
        f"{count} tokens, {events} events, {seconds:.1f} s, {count / seconds:.1f} tokens/s, "
        f"{used / count * 1000:.2f} ms of processor time a token, {torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
