# SPDX-License-Identifier: BSD-3-Clause
"""Which projection tells value vectors from random ones best: figures of docs/findings.md.

usage: python measure_projections.py MODEL.gguf [VECTORS]

VECTORS (2,000) value vectors drawn from all layers, and as many Gaussian vectors with the mean and
covariance of all value vectors. For each projection: the share of vectors with at least three of
the ten tokens of an end of one stem (their first four letters, in any case; tokens with fewer
letters have none), and the area under the curve (ROC) by which the coherence of the ten tokens
(mean cosine of their centred rows γ⊙(e - ē)) tells a value vector from a random one; the same for
the kurtosis of the folded scores.
"""

import re
import sys
from collections import Counter

import numpy
import torch

import make_smollm2

TOP, STEM, OF_ONE, SEED = 10, 4, 3, 0


def stem(text):
    letters = text.replace("\u0120", " ").strip().lower()  # the byte-level mark of a space
    return letters[:STEM] if re.fullmatch(r"[a-z]+", letters) and len(letters) >= STEM else None


def area(real, chance):
    """Share of pairs in which the value vector has the higher figure."""
    order = numpy.argsort(numpy.concatenate([real, chance]), kind="stable")
    ranks = numpy.empty(len(order))
    ranks[order] = numpy.arange(1, len(order) + 1)
    return (ranks[: len(real)].sum() - len(real) * (len(real) + 1) / 2) / len(real) / len(chance)


class Measure:
    def __init__(self, checkpoint):
        parts = checkpoint.parts
        self.rows = parts.final_norm.weight * parts.unembedding  # γ⊙e_w
        self.raw = parts.unembedding
        values = [parts.values(layer) for layer in range(len(parts.layers))]
        self.values = torch.cat(list(values)).contiguous()
        self.mean = self.values.double().mean(0)
        centred = self.values.double() - self.mean
        self.covariance = centred.T @ centred / len(centred)
        rows = self.rows.double()
        deviation = ((rows @ self.covariance) * rows).sum(1).sqrt()
        self.standard = (self.rows / deviation[:, None].float()).contiguous()
        units = self.rows - self.rows.mean(0)
        self.units = units / units.norm(dim=1, keepdim=True)
        count = len(self.rows)
        self.stems = [stem(checkpoint.tokenizer.decode([i])) for i in range(count)]

    def random(self, count):
        generator = torch.Generator().manual_seed(SEED)
        factor = torch.linalg.cholesky(self.covariance + 1e-12 * torch.eye(len(self.mean)))
        draws = torch.randn(count, len(self.mean), generator=generator, dtype=torch.float64)
        return (self.mean + draws @ factor.T).float()

    def scores(self, form, vectors):
        if form == "raw":
            return vectors @ self.raw.T
        if form == "folded":
            return vectors @ self.rows.T
        return (vectors - self.mean.float()) @ self.standard.T

    def of_one_stem(self, ids):
        counted = Counter(self.stems[i] for i in ids if self.stems[i] is not None)
        return max(counted.values(), default=0) >= OF_ONE

    def coherence(self, ids):
        total = self.units[ids].sum(0)
        return ((total @ total) - len(ids)).item() / len(ids) / (len(ids) - 1)

    def ends(self, form, vectors):
        """Whether either end has a stem, and the larger coherence of both."""
        stems, coherence = [], []
        for part in vectors.split(100):
            scores = self.scores(form, part)
            both = [scores.topk(TOP, largest=largest).indices for largest in (True, False)]
            for ends in zip(*both):
                stems.append(any(self.of_one_stem(e.tolist()) for e in ends))
                coherence.append(max(self.coherence(e) for e in ends))
        return numpy.mean(stems), numpy.array(coherence)

    def kurtosis(self, vectors):
        out = []
        for part in vectors.split(100):
            s = self.scores("folded", part).double()
            s = s - s.mean(1, keepdim=True)
            out.append(((s**4).mean(1) / (s**2).mean(1) ** 2 - 3.0).numpy())
        return numpy.concatenate(out)


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    measure = Measure(make_smollm2.Checkpoint(sys.argv[1]))
    generator = torch.Generator().manual_seed(SEED + 1)
    drawn = torch.randperm(len(measure.values), generator=generator)[:count]
    real, chance = measure.values[drawn], measure.random(count)
    print(f"{count} of {len(measure.values)} value vectors, as many random ones")
    for form in ("raw", "folded", "standard"):
        own, own_coherence = measure.ends(form, real)
        other, other_coherence = measure.ends(form, chance)
        print(
            f"{form:9} of one stem {100 * own:5.1f} % random {100 * other:5.1f} %   coherence "
            f"{own_coherence.mean():.3f} random {other_coherence.mean():.3f}   area "
            f"{area(own_coherence, other_coherence):.3f}",
            flush=True,
        )
    own, other = measure.kurtosis(real), measure.kurtosis(chance)
    print(
        f"kurtosis  median {numpy.median(own):.3f} random {numpy.median(other):.3f}   99 % "
        f"{numpy.quantile(own, 0.99):.2f} random {numpy.quantile(other, 0.99):.2f}   area "
        f"{area(own, other):.3f}"
    )
    above = (own > other.max()).mean()
    print(f"kurtosis above that of every random vector ({other.max():.2f}): {100 * above:.1f} %")


if __name__ == "__main__":
    main()
