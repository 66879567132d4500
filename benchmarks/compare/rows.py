# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: pairs of one job and the two who do it."""

from dataclasses import dataclass, replace
from typing import NamedTuple

TEXT = "The capital of France is"


@dataclass(frozen=True)
class Who:
    """Somebody who does a job: a worker on one form of the model, or (`whole`) a program."""

    kind: str  # xlens, llama, torch, transformer_lens, openblas; examples, perplexity of xlens
    model: str  # of models.py: q4, the Q4_1 file; f32.gguf, hf, of the same; gemma; random/..
    precision: str = "f32"
    whole: bool = False


XLENS_Q4, XLENS_F32 = Who("xlens", "q4"), Who("xlens", "f32.gguf")
NATIVE_Q4 = Who("xlens", "q4", "native")
LLAMA, TORCH = Who("llama", "q4"), Who("torch", "hf")
TRANSFORMER_LENS = Who("transformer_lens", "hf")


class Wanted(NamedTuple):
    """The least ratio that will do: with AVX2 alone, and with AVX-512."""

    avx2: float
    avx512: float


def both(ratio):
    return Wanted(ratio, ratio)


@dataclass(frozen=True)
class Row:
    name: str
    work: str
    peer_name: str
    job: str
    xlens: Who
    peer: Who
    unit: str  # of the figures; all but s and ms are amounts a second
    amount: float = 1.0  # what one job is, in the unit
    wanted: Wanted | None = None
    exact: bool = True  # must ids agree? not where the peer rounds activations
    bound: float = 1e-3  # of the values, relative to the largest
    peer_job: str | None = None  # where it differs
    peer_part: float = 1.0  # the peer does a part of the job, and all would take so many times that
    alike: bool = True  # do both give answers of one kind?
    threads: int | None = None  # None: as asked for
    warmed: bool = True  # does a round go before those that count?

    def figure(self, seconds):
        """The figure of one job, in the unit."""
        if self.unit in ("s", "ms"):
            return seconds * self.amount * (1000 if self.unit == "ms" else 1)
        return self.amount / seconds

    def wanted_with(self, extensions):
        """The ratio that is wanted of a machine with `avx2` or `avx512`; None where none is."""
        return self.wanted and getattr(self.wanted, extensions)


DECODED, SHORT, LONG = 64, 16, 512
GFLOP = 2 * 512 * 576 * 49152 / 1e9
LAYERS, SAMPLED = 30, 2


def decode(name, work, peer_name, xlens, peer, context, **more):
    return Row(
        name, work, peer_name, f"decode {context} {DECODED}", xlens, peer, "tok/s", DECODED, **more
    )


def prefill(name, work, peer_name, xlens, peer, **more):
    job = f"prefill {LONG}"
    return Row(name, work, peer_name, job, xlens, peer, "tok/s", LONG, **more)


def matmul(name, peer_name, peer, work="f32 matmul 512×576×49152", **more):
    return Row(name, work, peer_name, "matmul 512", XLENS_F32, peer, "GFLOP/s", GFLOP, **more)


def first(name, peer_name, peer, wanted):
    xlens = Who("xlens", "q4", whole=True)
    return Row(
        name, "load to first token, whole process", peer_name, TEXT, xlens, peer, "s",
        wanted=both(wanted),
    )


PROJECTION = f"all value vectors × vocabulary, top-30 ({SAMPLED} of {LAYERS} layers, scaled)"
TRACE = "trace, 64 tokens, all positions and layers"

ROWS = [
    decode(
        "decode-q4", "decode, Q4_1 file, f32", "llama.cpp", XLENS_Q4, LLAMA, SHORT, exact=False,
        wanted=Wanted(1.0, 1.3),
    ),
    decode(
        "decode-q4-native", "decode, Q4_1 file, native", "llama.cpp", NATIVE_Q4, LLAMA, SHORT,
        exact=False, wanted=Wanted(2.0, 2.5),
    ),
    decode(
        "decode-q4-native-1", "decode, Q4_1 file, native, one thread", "llama.cpp", NATIVE_Q4,
        LLAMA, SHORT, exact=False, wanted=Wanted(1.3, 1.5), threads=1,
    ),
    decode(
        "decode-q4-512", "decode at context 512, Q4_1 file, f32", "llama.cpp", XLENS_Q4, LLAMA,
        LONG, exact=False,
    ),
    decode(
        "decode-q4-512-native", "decode at context 512, Q4_1 file, native", "llama.cpp", NATIVE_Q4,
        LLAMA, LONG, exact=False,
    ),
    decode(
        "decode-f32", "decode, f32 weights", "PyTorch", XLENS_F32, TORCH, SHORT,
        wanted=Wanted(3.0, 3.5),
    ),
    decode(
        "decode-f32-compiled", "the same, torch.compile, static cache", "PyTorch", XLENS_F32, TORCH,
        SHORT, peer_job=f"decode_compiled {SHORT} {DECODED}",
    ),
    prefill(
        "prefill-llama", "prefill 512, Q4_1 file, f32", "llama.cpp", XLENS_Q4, LLAMA, exact=False,
        bound=0.1, wanted=both(1.5),
    ),
    prefill(
        "prefill-llama-native", "prefill 512, Q4_1 file, native", "llama.cpp", NATIVE_Q4, LLAMA,
        exact=False, bound=0.1, wanted=Wanted(2.5, 3.5),
    ),
    prefill(
        "prefill-torch", "prefill 512, Q4_1 file, f32", "PyTorch f32", XLENS_Q4, TORCH,
        wanted=both(1.5),
    ),
    prefill(
        "prefill-torch-native", "prefill 512, Q4_1 file, native", "PyTorch f32", NATIVE_Q4, TORCH,
        exact=False, bound=0.1, wanted=Wanted(1.5, 2.5),
    ),
    prefill(
        "prefill-torch-compiled", "prefill 512, Q4_1 file, native", "PyTorch f32, torch.compile",
        NATIVE_Q4, TORCH, exact=False, bound=0.1, peer_job=f"prefill_compiled {LONG}",
    ),
    prefill(
        "prefill-torch-bf16", "prefill 512, Q4_1 file, native", "PyTorch bf16", NATIVE_Q4, TORCH,
        exact=False, bound=0.1, peer_job=f"prefill_bf16 {LONG}",
    ),
    Row(
        "unembed", "unembedding of one vector, top-30, f32", "PyTorch", "unembed 30", XLENS_F32,
        TORCH, "ms", wanted=both(3.0),
    ),
    Row(
        "unembed-screened", "the same by codes made before: both ends, no normaliser", "PyTorch",
        "unembed_screened 30", XLENS_F32, TORCH, "ms", peer_job="unembed 30",
    ),
    Row(
        "project", PROJECTION + ": both ends; PyTorch one", "PyTorch", f"project {SAMPLED} 30",
        XLENS_Q4, TORCH, "s", LAYERS / SAMPLED, wanted=both(1.6),
    ),
    Row(
        "project-screened", "the same with screening", "PyTorch", f"project_screened {SAMPLED} 30",
        XLENS_Q4, TORCH, "s", LAYERS / SAMPLED, wanted=Wanted(3.0, 4.0),
        peer_job=f"project {SAMPLED} 30",
    ),
    Row(
        "trace-torch", TRACE, "PyTorch, hooks", "trace 64", XLENS_F32, TORCH, "s",
        wanted=both(2.0),
    ),
    Row(
        "trace-tl", TRACE, "TransformerLens", "trace 64", XLENS_F32, TRANSFORMER_LENS, "s",
        wanted=Wanted(4.0, 5.0),
    ),
    matmul(
        "matmul-openblas", "OpenBLAS (NumPy)", Who("openblas", "hf"), wanted=Wanted(0.95, 1.0)
    ),
    matmul("matmul-torch", "PyTorch (MKL)", TORCH),
    matmul(
        "matmul-onednn", "oneDNN (PyTorch)", TORCH, "the same; oneDNN allocates its result",
        peer_job="matmul_onednn 512",
    ),
    matmul(
        "matmul-bf16", "oneDNN (PyTorch)", TORCH, "the same; oneDNN in bf16, for information",
        peer_job="matmul_bf16 512", bound=0.02,
    ),
    first("first-llama", "llama.cpp", Who("llama", "q4", whole=True), 1.0),
    first("first-torch", "transformers", Who("torch", "hf", whole=True), 20.0),
]


@dataclass(frozen=True)
class Growth:
    """How a cost grows: one row a step."""

    name: str
    heading: str
    column: str
    steps: list  # (label, row)
    part: str = "growth"  # of the page
    told: bool = False  # are its rows in the table of memory and answers?


def context_row(who, context):
    name = f"context-{context}" + ("-native" if who == NATIVE_Q4 else "")
    return Row(
        name, "", "llama.cpp", f"decode {context} 16", who, LLAMA, "tok/s", 16,
        exact=False,
    )


def unembed_row(k):
    return Row(f"top-{k}", "", "PyTorch", f"unembed {k}", XLENS_F32, TORCH, "ms")


def threaded(work, threads):
    decoding = work == "decode"
    job = f"decode {SHORT} {DECODED}" if decoding else f"prefill {LONG}"
    amount = DECODED if decoding else LONG
    return Row(
        f"threads-{work}-{threads}", "", "llama.cpp", job, XLENS_Q4, LLAMA, "tok/s", amount,
        exact=False, bound=0.1, threads=threads,
    )


def of_format(name, precision):
    """Random weights, of which only the time means something."""
    model = f"random/{name}.gguf"
    row = f"format-{name}" + ("-native" if precision == "native" else "")
    return decode(
        row, "", "llama.cpp", Who("xlens", model, precision), Who("llama", model), SHORT,
        exact=False,
    )


def greedy(of, label):
    """The work of a row of decoding where the tokens alone are asked for, by its own name."""
    return label, replace(
        of, name=of.name.replace("decode", "greedy"), work="",
        job=of.job.replace("decode", "greedy"), peer_job=of.job, wanted=None,
    )


def said(job):
    """A job in a table's words."""
    return "decode" if job.startswith("decode") else job


WANTED = {
    "gemma-decode-native": Wanted(1.5, 2.0),
    "gemma-decode-f32": Wanted(1.0, 1.3),
    "size-decode-native-1b-q4_0": both(1.3),
    "size-decode-f32-1b-q4_0": Wanted(1.0, 1.3),
}


def of_gemma(job, precision):
    work, amount = job.split()[0], int(job.split()[-1])
    name, words = f"gemma-{work}-{precision}", f"{said(job)}, Gemma 3 270M Q4_K_M, {precision}"
    return Row(
        name, words, "llama.cpp", job, Who("xlens", "gemma", precision), Who("llama", "gemma"),
        "tok/s", amount, WANTED.get(name), exact=False, bound=0.2,
        peer_job=job.replace("trace", "prefill"), alike=work != "trace",
    )


CAPTURED, PATCHED = 4096, 14  # tokens
PATCH_STEP = 10
TEXTS = (10_000, 100_000)  # tokens


def capture_row(name, who, **more):
    return Row(
        name, "", "TransformerLens", f"capture {CAPTURED}", who, TRANSFORMER_LENS, "tok/s",
        CAPTURED, wanted=both(3.0), **more,
    )


def examples_row(tokens):
    """Two commands of xlens on one text: examples --all, and perplexity."""
    examples, perplexity = (Who(work, "q4", whole=True) for work in ("examples", "perplexity"))
    return Row(
        f"examples-{tokens}", "", "perplexity", str(tokens), examples, perplexity, "tok/s", tokens,
        wanted=both(0.8), alike=False, warmed=False,
    )


def sized(size, form, work, job, amount, unit, precision="native", peer=None):
    """Random weights of a size: beside llama.cpp, or beside what the job cannot do without."""
    model = f"random/{size}-{form}.gguf"
    alone = peer is None
    name = f"size-{work}-{size}-{form}"
    words = f"{said(job)}, {size.upper()} {form.upper()} of random weights, {precision}"
    return Row(
        name, words, peer or "the bound", job, Who("xlens", model, precision),
        Who("xlens" if alone else "llama", model), unit, amount, WANTED.get(name), exact=False,
        peer_job=f"bound_{job}" if alone else None, alike=False,
    )


def first_of_size(size, form):
    model = f"random/{size}-{form}.gguf"
    return Row(
        f"size-first-{size}-{form}", "", "llama.cpp", "1,2,3,4,5",
        Who("xlens", model, whole=True), Who("llama", model, whole=True), "s", alike=False,
    )


CONTEXTS = (64, 256, 1024, 4096)
SIZES = (
    ("1b", "q4_0"), ("1b", "q4_k_m"), ("1b-262k", "q4_k_m"), ("3b", "q4_0"), ("3b", "q4_k_m"),
    ("8b", "q4_0"), ("8b", "q4_k_m"), ("moe", "q4_k_m"),
)
# Those that people have most, which have integer products, and all others.
NATIVE = (
    "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs",
    "mxfp4",
)
OTHER = (
    "f32", "f16", "bf16", "q2_k", "iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s",
    "iq3_xxs", "iq3_s", "tq1_0", "tq2_0", "nvfp4",
)
GEMMA = (f"decode {SHORT} {DECODED}", f"prefill {LONG}", "trace 64")


def of_sizes(name, heading, make, **more):
    steps = [(f"{size}, {form}", make(size, form)) for size, form in SIZES]
    return Growth(f"growth-size-{name}", heading, "parameters", steps, part="sizes", **more)


def against_llama(work, job, amount, precision):
    return lambda size, form: sized(
        size, form, f"{work}-{precision}", job, amount, "tok/s", precision, "llama.cpp"
    )


def against_bound(work, job, amount, unit, precision="f32"):
    return lambda size, form: sized(
        size, form, f"{work}-bound", job, amount, unit, precision
    )


FEW, SOME, SEEN, INDEXED = 8, 64, 16, 1024  # tokens decoded, read and traced, vectors of an index
OF_SIZES = [
    of_sizes(
        "decode-native", f"Decode of {FEW} tokens after {SHORT}, native, against llama.cpp",
        against_llama("decode", f"decode {SHORT} {FEW}", FEW, "native"), told=True,
    ),
    of_sizes(
        "decode", "The same, f32",
        against_llama("decode", f"decode {SHORT} {FEW}", FEW, "f32"),
    ),
    of_sizes(
        "prefill-native", f"Prefill of {SOME} tokens, native, against llama.cpp",
        against_llama("prefill", f"prefill {SOME}", SOME, "native"), told=True,
    ),
    of_sizes(
        "prefill", "The same, f32", against_llama("prefill", f"prefill {SOME}", SOME, "f32"),
    ),
    of_sizes(
        "first", "Load to first token of five, whole process, against llama.cpp", first_of_size,
        told=True,
    ),
    of_sizes(
        "decode-bound",
        "Decode, native, against reading the weights that it reads once: what memory gives",
        against_bound("decode", f"decode {SHORT} {FEW}", FEW, "tok/s", "native"),
    ),
    of_sizes(
        "prefill-bound",
        f"Prefill of {SOME} tokens, f32, against as many multiply-adds in registers",
        against_bound("prefill", f"prefill {SOME}", SOME, "tok/s"),
    ),
    of_sizes(
        "trace-bound",
        f"Trace of {SEEN} tokens, all positions and layers, against the multiply-adds of its "
        "products",
        against_bound("trace", f"trace {SEEN}", SEEN, "tok/s"), told=True,
    ),
    of_sizes(
        "index-bound",
        f"Index (both ends, 50 tokens each, and kurtosis) of {INDEXED} value vectors, against the "
        "multiply-adds of one product with the vocabulary",
        against_bound("index", f"index {INDEXED} 50", INDEXED, "vectors/s"), told=True,
    ),
    of_sizes(
        "search-bound",
        "Search of all value vectors for a token, against reading them once",
        against_bound("search", "search 20", 1.0, "s"), told=True,
    ),
]

GROWTH = [
    Growth(
        "growth-context",
        "Decode from the Q4_1 file as the context grows, 16 tokens, f32, against llama.cpp",
        "context",
        [(c, context_row(XLENS_Q4, c)) for c in CONTEXTS],
    ),
    Growth(
        "growth-context-native",
        "The same, native",
        "context",
        [(c, context_row(NATIVE_Q4, c)) for c in CONTEXTS],
    ),
    Growth(
        "growth-top-k",
        "Unembedding of one vector as k grows, f32, against PyTorch",
        "k",
        [(k, unembed_row(k)) for k in (10, 30, 100, 300, 1000)],
    ),
    Growth(
        "growth-threads",
        "Decode and prefill (512) from the Q4_1 file, f32, against llama.cpp",
        "threads",
        [(f"{w}, {t}", threaded(w, t)) for w in ("decode", "prefill") for t in (1, 2)],
    ),
    Growth(
        "growth-formats-native",
        "Decode of 138 million random weights of each format that has integer products, native, "
        "against llama.cpp",
        "format",
        [(name, of_format(name, "native")) for name in NATIVE],
        part="formats",
    ),
    Growth(
        "growth-formats",
        "Decode of such weights of every format, f32: codes become floats, inputs are not rounded, "
        "which llama.cpp does for all but f32, f16 and bf16",
        "format",
        [(name, of_format(name, "f32")) for name in (*NATIVE, *OTHER)],
        part="formats",
    ),
    Growth(
        "growth-gemma",
        "Gemma 3 270M, Q4_K_M, against llama.cpp; beside a trace of 64 tokens (all positions and "
        "layers read) stands llama.cpp's reading of the same, which shows nothing",
        "work",
        [(f"{job.split()[0]}, {p}", of_gemma(job, p)) for job in GEMMA for p in ("f32", "native")],
        part="gemma",
    ),
    Growth(
        "growth-workflows",
        "Work of an experiment, against TransformerLens: the residuals that enter, before and "
        "after every layer to safetensors, 4,096 tokens in windows of 512; and one `after` put in "
        "another prompt's place, 14 positions × 30 layers, of which TransformerLens runs every "
        "tenth layer, whose time is taken ten times",
        "work",
        [
            ("capture, f32 weights", capture_row("capture-tl", XLENS_F32)),
            (
                "capture, Q4_1 file, native",
                capture_row("capture-tl-native", NATIVE_Q4, bound=0.1),
            ),
            (
                "patching, f32 weights",
                Row(
                    "patch-tl", "", "TransformerLens", f"patch {PATCHED} {PATCH_STEP}", XLENS_F32,
                    TRANSFORMER_LENS, "s", wanted=both(5.0), peer_part=PATCH_STEP,
                ),
            ),
        ],
        part="workflows",
        told=True,
    ),
    Growth(
        "growth-examples",
        "Contexts of all 46,080 neurons (`xlens examples --all`, Q4_1 file, windows of 512) beside "
        "`xlens perplexity` of the same text",
        "tokens",
        [(f"{tokens:,}", examples_row(tokens)) for tokens in TEXTS],
        part="examples",
        told=True,
    ),
    *OF_SIZES,
]
DECODING = {row.name: row for row in (*ROWS, *(row for g in GROWTH for _, row in g.steps))}
GROWTH.append(
    Growth(
        "growth-greedy",
        "The same decoding in f32 where a greedy text is all that is asked for: xlens then bounds "
        "the logits in 8-bit integers, and names the same tokens",
        "work",
        [
            greedy(DECODING["decode-q4"], "SmolLM2, Q4_1, against llama.cpp"),
            greedy(DECODING["gemma-decode-f32"], "Gemma 3 270M, Q4_K_M, against llama.cpp"),
            greedy(DECODING["decode-f32"], "SmolLM2, f32 weights, against PyTorch"),
        ],
        part="greedy",
        told=True,
    )
)

ALL = {row.name: row for row in (*ROWS, *(row for g in GROWTH for _, row in g.steps))}

# The rows of the first table and of the picture: all of ROWS, and some of GROWTH.
MAIN = [
    ALL[name]
    for name in (
        "decode-q4-native", "decode-q4-native-1", "decode-q4", "gemma-decode-native",
        "gemma-decode-f32", "size-decode-native-1b-q4_0", "size-decode-f32-1b-q4_0",
        "decode-q4-512-native", "decode-q4-512", "decode-f32", "decode-f32-compiled",
        "prefill-llama-native", "prefill-llama", "gemma-prefill-native", "gemma-prefill-f32",
        "size-prefill-native-1b-q4_0", "prefill-torch-native", "prefill-torch-compiled",
        "prefill-torch-bf16", "prefill-torch", "unembed", "unembed-screened", "project",
        "project-screened", "trace-torch", "trace-tl", "matmul-openblas", "matmul-torch",
        "matmul-onednn", "matmul-bf16", "first-llama", "first-torch",
    )
]

# What tells the story in three minutes.
QUICK = (
    "decode-q4-native", "decode-q4", "prefill-llama-native", "prefill-torch-native", "unembed",
    "trace-tl", "matmul-openblas",
)
