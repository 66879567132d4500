# SPDX-License-Identifier: BSD-3-Clause
"""Tiny random checkpoints of every transformers architecture, as HF folder and GGUF, with
golden.json.

usage: python make_models.py [NAME ...]
Writes models/NAME/{hf/, model.gguf, golden.json}; README.md has the schema.
"""

import json
import shutil
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

import gguf_export
from common import Parts, write_json
from model_golden import golden_of, random_ids

HERE = Path(__file__).parent

LLAMA = dict(
    vocab_size=288,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=64,
    tie_word_embeddings=False,
    rms_norm_eps=1e-5,
    bos_token_id=None,
    eos_token_id=None,
    pad_token_id=None,
)
NEOX = dict(
    vocab_size=288,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=64,
    rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
    bos_token_id=None,
    eos_token_id=None,
    pad_token_id=None,
)


def theta(value, **scaling):
    return {"rope_type": "default", "rope_theta": value, **scaling}


def configs():
    """{name: (config, how it is stored)}; style `old` is the config.json that transformers wrote
    before version 5."""
    t = transformers
    llama3 = theta(
        500000.0,
        rope_type="llama3",
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=32,
    )
    return {
        "gpt2": (
            t.GPT2Config(
                vocab_size=300,
                n_embd=32,
                n_layer=2,
                n_head=4,
                n_positions=40,
                bos_token_id=None,
                eos_token_id=None,
            ),
            dict(style="old", bare=True),
        ),
        "llama": (
            t.LlamaConfig(**LLAMA, rope_parameters=theta(10000.0)),
            dict(style="old", shard="64KB"),
        ),
        "llama3": (
            t.LlamaConfig(
                **{**LLAMA, "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 200},
                rope_parameters=llama3,
            ),
            dict(style="old", dtype=torch.float16),
        ),
        "mistral": (
            t.MistralConfig(**LLAMA, sliding_window=8, rope_parameters=theta(1000000.0)),
            dict(style="new"),
        ),
        "qwen2": (
            t.Qwen2Config(
                **{**LLAMA, "tie_word_embeddings": True}, rope_parameters=theta(1000000.0)
            ),
            dict(style="old", dtype=torch.bfloat16),
        ),
        "qwen3": (
            t.Qwen3Config(**LLAMA, head_dim=16, rope_parameters=theta(1000000.0)),
            dict(style="new"),
        ),
        "gpt_neox": (t.GPTNeoXConfig(**NEOX, use_parallel_residual=True), dict(style="old")),
        "gpt_neox_sequential": (
            t.GPTNeoXConfig(
                **{
                    **NEOX,
                    "rope_parameters": {
                        "rope_type": "default",
                        "rope_theta": 20000.0,
                        "partial_rotary_factor": 0.5,
                    },
                },
                use_parallel_residual=False,
            ),
            dict(style="new"),
        ),
    }


def randomise(model, seed):
    """Every parameter random: gains around 1, biases, and matrices wide enough that each block
    changes the residual."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.dim() == 1:
                weight.copy_(1 + 0.3 * noise if name.endswith("weight") else 0.3 * noise)
            elif any(part in name for part in ("embed", "wte", "lm_head")):
                weight.copy_(0.6 * noise)
            elif "wpe" in name:
                weight.copy_(0.2 * noise)
            else:
                # transformers' Conv1D of gpt2 is (in, out), a Linear (out, in).
                inputs = weight.shape[0] if model.config.model_type == "gpt2" else weight.shape[1]
                weight.copy_(1.5 * inputs**-0.5 * noise)


def old_style(config):
    """The keys that config.json had before transformers 5."""
    rope = config.pop("rope_parameters", None)
    if rope is not None:
        base, kind = rope.pop("rope_theta"), rope.pop("rope_type")
        if config["model_type"] == "gpt_neox":
            config.update(
                rotary_emb_base=base,
                rotary_pct=rope.pop("partial_rotary_factor"),
                rope_scaling=None,
            )
        else:
            config.update(
                rope_theta=base,
                rope_scaling=None if kind == "default" else {**rope, "rope_type": kind},
            )
    config["torch_dtype"] = config.pop("dtype", "float32")
    config["transformers_version"] = "4.45.0"
    return config


def bare_gpt2(folder, source):
    """gpt2 as OpenAI's upload has it: no `transformer.` prefix, and the causal masks stored as
    tensors h.N.attn.bias."""
    weights = {
        name.removeprefix("transformer."): t
        for name, t in load_file(source / "model.safetensors").items()
    }
    config = json.loads((source / "config.json").read_text())
    for layer in range(config["n_layer"]):
        mask = torch.tril(torch.ones(config["n_positions"], config["n_positions"]))
        weights[f"h.{layer}.attn.bias"] = mask.view(1, 1, *mask.shape).contiguous()
    folder.mkdir()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def save_hf(folder, config, seed, style, dtype=torch.float32, shard="50GB", bare=False):
    shutil.rmtree(folder, ignore_errors=True)
    model = transformers.AutoModelForCausalLM.from_config(config)
    randomise(model, seed)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    path = folder / "config.json"
    if style == "old":
        path.write_text(json.dumps(old_style(json.loads(path.read_text())), indent=2) + "\n")
    if bare:
        shutil.rmtree(folder.parent / "hf_bare", ignore_errors=True)
        bare_gpt2(folder.parent / "hf_bare", folder)
    # Not model.float(): model.to() above has rounded the rotary frequencies too, which no file
    # keeps.
    stored = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    stored.load_state_dict(model.state_dict())
    return stored.eval()


def load_hf(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()


@torch.no_grad()
def same_logits(made, loaded, ids):
    """The folder, whatever its config.json's style, means the model that was saved."""
    a, b = (model(torch.tensor([ids]), use_cache=False).logits for model in (made, loaded))
    assert torch.allclose(a, b, atol=1e-4), (a - b).abs().max()


def make(name, config, stored):
    folder = HERE / "models" / name
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(100):
        made = save_hf(folder / "hf", config, seed, **stored)
        model = load_hf(folder / "hf")
        ids = random_ids(config.vocab_size, seed)
        same_logits(made, model, ids)
        golden = golden_of(name, model.config.model_type, Parts(model), ids)
        if golden:
            break
    if stored.get("bare"):
        again = load_hf(folder / "hf_bare").state_dict()
        assert all(
            torch.equal(again[n], w) for n, w in model.state_dict().items()
        ), "hf_bare is another model"
    gguf_export.write(folder / "model.gguf", model)
    write_json(folder / "golden.json", golden)
    print(
        name,
        "seed",
        seed,
        {p.name: p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()},
    )


# --- one GGUF with a format per tensor ---

MIXED = {
    "token_embd": "Q8_0",
    "output": "Q6_K",
    "blk.0.attn_q": "Q4_K",
    "blk.0.attn_k": "Q5_K",
    "blk.0.attn_v": "Q6_K",
    "blk.0.attn_output": "Q4_0",
    "blk.0.ffn_gate": "Q4_K",
    "blk.0.ffn_up": "Q5_K",
    "blk.0.ffn_down": "Q6_K",
    "blk.1.attn_q": "Q8_0",
    "blk.1.attn_k": "F16",
    "blk.1.attn_v": "BF16",
    "blk.1.attn_output": "Q5_0",
    "blk.1.ffn_gate": "Q4_1",
    "blk.1.ffn_up": "Q5_1",
    "blk.1.ffn_down": "Q4_K",
}


def half(value, blocks):
    return np.full((blocks, 1), value, np.float16).view(np.uint8)


def six_bit(scales):
    """(blocks, 8) numbers below 64, packed twice (as scales and as minima) into the 12 bytes of
    q4_k and q5_k."""
    low, high = scales[:, :4], scales[:, 4:]
    first = low | (high >> 4) << 6
    return np.concatenate([first, first, (high & 15) | (high & 15) << 4], axis=1).astype(np.uint8)


def random_k_blocks(kind, rows, columns, deviation, generator):
    """Bytes of a k-quant whose weights have about this standard deviation. gguf-py reads k-quants
    and cannot write
    them, so the blocks are drawn directly: random quants and scales, minima that centre them."""
    blocks = rows * columns // 256

    def draw(count):
        return generator.integers(0, 256, (blocks, count), np.uint8)

    if kind == "Q6_K":
        scales = generator.integers(20, 61, (blocks, 16)) * generator.choice([-1, 1], (blocks, 16))
        parts = [
            draw(128),
            draw(64),
            scales.astype(np.int8).view(np.uint8),
            half(deviation / 790, blocks),
        ]
    else:
        steps, high = (7.5, []) if kind == "Q4_K" else (15.5, [draw(32)])
        scale = deviation / (26 * 2 * steps)
        scales = six_bit(generator.integers(20, 64, (blocks, 8)))
        parts = [half(scale, blocks), half(steps * scale, blocks), scales, *high, draw(128)]
    return np.concatenate(parts, axis=1).reshape(rows, -1)


def quantise(name, weight, generator):
    """(bytes, type) of a tensor in the format MIXED has for it."""
    kind = MIXED[name.removesuffix(".weight")]
    quantization = gguf.GGMLQuantizationType[kind]
    if kind.endswith("_K"):
        return random_k_blocks(kind, *weight.shape, float(weight.std()), generator), quantization
    return gguf.quants.quantize(weight, quantization), quantization


def load_dequantised(model, quantized):
    """Puts gguf-py's reading of every tensor into the torch model, undoing the row order of q and
    k."""
    config = model.config
    state = model.state_dict()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in state.items():
        target = names.get_name(name, try_suffixes=(".weight",))
        if target not in quantized:
            continue
        data, kind = quantized[target]
        weight = gguf.quants.dequantize(data, kind).reshape(tuple(tensor.shape))
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            query = name.endswith("q_proj.weight")
            weight = gguf_export.deinterleave(
                weight, config.num_attention_heads if query else config.num_key_value_heads
            )
        tensor.copy_(torch.from_numpy(weight))
        assert abs(float(tensor.mean())) < 0.1 * float(tensor.std()), name


def make_mixed():
    folder = HERE / "models" / "llama_mixed"
    folder.mkdir(parents=True, exist_ok=True)
    config = transformers.LlamaConfig(
        **{
            **LLAMA,
            "vocab_size": 160,
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_key_value_heads": 1,
        },
        rope_parameters=theta(10000.0),
        attn_implementation="eager",
    )
    for seed in range(100):
        generator = np.random.default_rng(seed)
        model = transformers.AutoModelForCausalLM.from_config(config).eval()
        randomise(model, seed)
        quantized = {
            name: quantise(name, weight, generator)
            for name, weight in gguf_export.tensors(model).items()
            if name.removesuffix(".weight") in MIXED
        }
        assert len(quantized) == len(MIXED)
        load_dequantised(model, quantized)
        golden = golden_of(
            "llama_mixed", "llama", Parts(model), random_ids(config.vocab_size, seed)
        )
        if golden:
            break
    golden["formats"] = {f"{name}.weight": kind.lower() for name, kind in MIXED.items()}
    gguf_export.write(folder / "model.gguf", model, quantized)
    write_json(folder / "golden.json", golden)
    print("llama_mixed seed", seed, (folder / "model.gguf").stat().st_size)


def main():
    torch.set_num_threads(2)
    known = configs()
    wanted = sys.argv[1:] or [*known, "llama_mixed"]
    for name in wanted:
        if name == "llama_mixed":
            make_mixed()
        else:
            make(name, *known[name])


if __name__ == "__main__":
    main()
