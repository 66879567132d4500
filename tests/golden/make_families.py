# SPDX-License-Identifier: BSD-3-Clause
"""Tiny random checkpoints of every family of models and of what its configuration can vary, as
Hugging Face folder and, where llama.cpp's converter takes it, as GGUF, with golden.json.

usage: python make_families.py LLAMA_CPP [NAME ...]
LLAMA_CPP is llama.cpp's source, whose converter writes the GGUF files: vendor/llama.cpp of the
source package llama_cpp_python-0.3.36. Writes families/NAME/{hf/, model.gguf, golden.json}; the
schema is that of models/ (README.md).
"""

import json
import logging
import shutil
import sys
from pathlib import Path

import torch
import transformers as t

from common import Edit, Probe, write_json
from model_golden import golden_of, random_ids

HERE = Path(__file__).parent

NO_IDS = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)
BASE = dict(
    vocab_size=96,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=64,
    **NO_IDS,
)
NO_KV = {k: v for k, v in BASE.items() if k != "num_key_value_heads"}
GPT2 = dict(vocab_size=96, n_embd=16, n_layer=3, n_head=4, n_positions=48, n_ctx=48, **NO_IDS)


def theta(value=10000.0, **scaling):
    return {"rope_type": "default", "rope_theta": value, **scaling}


def yarn(**more):
    return theta(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=4.0, **more
    )


HALF = theta(partial_rotary_factor=0.5)
LONGROPE = theta(
    rope_type="longrope",
    short_factor=[1.1, 1.7],
    long_factor=[2.0, 5.0],
)


def kinds(full, sliding=None):
    return {"full_attention": full, "sliding_attention": sliding or theta()}


def configs():
    """{name: config}. `_` and what follows it is the variation."""
    window = dict(sliding_window=8)
    sandwich = dict(**BASE, **window, head_dim=8)
    return {
        "llama_bias": t.LlamaConfig(**BASE, attention_bias=True, mlp_bias=True),
        "llama_linear": t.LlamaConfig(
            **BASE, rope_parameters=theta(rope_type="linear", factor=4.0)
        ),
        "llama_dynamic": t.LlamaConfig(
            **BASE, rope_parameters=theta(rope_type="dynamic", factor=4.0)
        ),
        "llama_yarn": t.LlamaConfig(**BASE, rope_parameters=yarn()),
        "llama_tied": t.LlamaConfig(**BASE, tie_word_embeddings=True),
        "llama_head_dim": t.LlamaConfig(**BASE, head_dim=6),
        "llama_window": t.LlamaConfig(**BASE, **window),
        "llama_gelu": t.LlamaConfig(**BASE, hidden_act="gelu_pytorch_tanh"),
        "mistral_no_window": t.MistralConfig(**BASE, sliding_window=None),
        "qwen2_window": t.Qwen2Config(
            **BASE, **window, use_sliding_window=True, max_window_layers=2
        ),
        "qwen2_layers": t.Qwen2Config(
            **BASE,
            **window,
            use_sliding_window=True,
            layer_types=["sliding_attention", "full_attention"] * 2,
        ),
        "qwen2_yarn": t.Qwen2Config(**BASE, rope_parameters=yarn()),
        "qwen3_window": t.Qwen3Config(
            **BASE, **window, head_dim=8, use_sliding_window=True, max_window_layers=1
        ),
        "qwen3_bias": t.Qwen3Config(**BASE, head_dim=8, attention_bias=True),
        "gpt2_no_scale": t.GPT2Config(**GPT2, scale_attn_weights=False),
        "gpt2_relu": t.GPT2Config(**GPT2, activation_function="relu", n_inner=24),
        "gpt_neox_no_bias": t.GPTNeoXConfig(
            **NO_KV, attention_bias=False, rotary_pct=0.5, rope_parameters=HALF
        ),
        "gpt_neo": t.GPTNeoConfig(
            vocab_size=96,
            hidden_size=16,
            num_layers=4,
            num_heads=4,
            attention_types=[[["global", "local"], 2]],
            window_size=8,
            max_position_embeddings=64,
            **NO_IDS,
        ),
        "gptj": t.GPTJConfig(**GPT2, rotary_dim=2),
        "opt": t.OPTConfig(
            vocab_size=96,
            hidden_size=16,
            word_embed_proj_dim=16,
            ffn_dim=24,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=48,
            **{**NO_IDS, "pad_token_id": 1},
        ),
        "opt_no_bias": t.OPTConfig(
            vocab_size=96,
            hidden_size=16,
            word_embed_proj_dim=16,
            ffn_dim=24,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=48,
            enable_bias=False,
            activation_function="gelu",
            **{**NO_IDS, "pad_token_id": 1},
        ),
        "bloom": t.BloomConfig(
            vocab_size=96, hidden_size=16, n_layer=3, n_head=4, seq_length=64, **NO_IDS
        ),
        "bloom_six_heads": t.BloomConfig(
            vocab_size=96, hidden_size=24, n_layer=2, n_head=6, seq_length=64, **NO_IDS
        ),
        "mpt": t.MptConfig(
            vocab_size=96, d_model=16, n_heads=4, n_layers=3, max_seq_len=64, expansion_ratio=2
        ),
        "mpt_clip": t.MptConfig(
            vocab_size=96,
            d_model=24,
            n_heads=6,
            n_layers=2,
            max_seq_len=64,
            attn_config={"clip_qkv": 0.8, "softmax_scale": 0.5},
        ),
        "falcon": t.FalconConfig(**NO_KV, num_kv_heads=1, ffn_hidden_size=64),
        "falcon_new": t.FalconConfig(
            **NO_KV, ffn_hidden_size=64, new_decoder_architecture=True, num_kv_heads=2
        ),
        "falcon_new_one_norm": t.FalconConfig(
            **NO_KV,
            ffn_hidden_size=64,
            new_decoder_architecture=True,
            num_kv_heads=2,
            num_ln_in_parallel_attn=1,
        ),
        "falcon_serial": t.FalconConfig(
            **NO_KV, ffn_hidden_size=24, parallel_attn=False, multi_query=False, bias=True
        ),
        "phi": t.PhiConfig(**{**NO_KV, "intermediate_size": 64}),
        "phi_groups": t.PhiConfig(**BASE, rope_parameters=theta(partial_rotary_factor=1.0)),
        "phi3": t.Phi3Config(**BASE),
        "phi3_window": t.Phi3Config(**BASE, **window),
        "phi3_longrope": t.Phi3Config(
            **BASE, original_max_position_embeddings=32, rope_parameters=LONGROPE
        ),
        "stablelm": t.StableLmConfig(**BASE, rope_parameters=HALF),
        "stablelm_bias": t.StableLmConfig(
            **BASE, use_qkv_bias=True, rope_parameters=theta(partial_rotary_factor=1.0)
        ),
        "stablelm_parallel": t.StableLmConfig(
            **{**BASE, "num_key_value_heads": 4},
            use_parallel_residual=True,
            qk_layernorm=True,
            rope_parameters=HALF,
        ),
        "starcoder2": t.Starcoder2Config(**BASE),
        "starcoder2_window": t.Starcoder2Config(**BASE, **window, use_bias=False),
        "gemma": t.GemmaConfig(**BASE, head_dim=8),
        "gemma_gelu": t.GemmaConfig(**BASE, head_dim=8, hidden_act="gelu"),
        "gemma2": t.Gemma2Config(**sandwich, query_pre_attn_scalar=8),
        "gemma2_scalar": t.Gemma2Config(
            **sandwich, query_pre_attn_scalar=24, attn_logit_softcapping=2.0,
            final_logit_softcapping=4.0,
        ),
        "gemma2_no_caps": t.Gemma2Config(
            **sandwich, query_pre_attn_scalar=8, attn_logit_softcapping=None,
            final_logit_softcapping=None,
        ),
        "gemma3_text": t.Gemma3TextConfig(**{**sandwich, "num_hidden_layers": 6},
                                          query_pre_attn_scalar=8),
        "gemma3_text_layers": t.Gemma3TextConfig(
            **sandwich,
            query_pre_attn_scalar=20,
            layer_types=["sliding_attention", "full_attention"] * 2,
            final_logit_softcapping=5.0,
        ),
        "gemma3_text_linear": t.Gemma3TextConfig(
            **{**sandwich, "num_hidden_layers": 6},
            query_pre_attn_scalar=8,
            rope_parameters=kinds(theta(1e6, rope_type="linear", factor=8.0)),
        ),
        "olmo": t.OlmoConfig(**BASE),
        "olmo_clip": t.OlmoConfig(**BASE, clip_qkv=1.0),
        "olmo2": t.Olmo2Config(**BASE),
        "olmo3": t.Olmo3Config(**BASE, **window),
        "olmo3_yarn": t.Olmo3Config(**BASE, **window, rope_parameters=kinds(yarn())),
        "granite": t.GraniteConfig(
            **BASE,
            embedding_multiplier=3.0,
            residual_multiplier=0.4,
            attention_multiplier=0.2,
            logits_scaling=2.5,
        ),
        "granite_bias": t.GraniteConfig(
            **BASE, attention_bias=True, mlp_bias=True, residual_multiplier=0.7,
            attention_multiplier=0.3,
        ),
        "smollm3": t.SmolLM3Config(**BASE),
        "smollm3_window": t.SmolLM3Config(
            **BASE, **window, use_sliding_window=True, no_rope_layers=[1, 0, 0, 1]
        ),
        "cohere": t.CohereConfig(**BASE, logit_scale=0.25),
        "cohere_norms": t.CohereConfig(**BASE, use_qk_norm=True),
        "cohere2": t.Cohere2Config(**BASE, **window, head_dim=4, rotary_pct=1.0),
        "cohere2_layers": t.Cohere2Config(
            **BASE, **window, head_dim=8, attention_bias=True,
            layer_types=["full_attention", "sliding_attention"] * 2,
        ),
        "mixtral": t.MixtralConfig(**BASE, num_local_experts=4),
        "mixtral_window": t.MixtralConfig(
            **BASE, **window, num_local_experts=3, num_experts_per_tok=1
        ),
        "qwen2_moe": t.Qwen2MoeConfig(
            **BASE,
            moe_intermediate_size=12,
            shared_expert_intermediate_size=8,
            num_experts=6,
            num_experts_per_tok=3,
        ),
        "qwen2_moe_norm": t.Qwen2MoeConfig(
            **BASE,
            moe_intermediate_size=12,
            shared_expert_intermediate_size=8,
            num_experts=4,
            num_experts_per_tok=2,
            norm_topk_prob=True,
        ),
        "qwen3_moe": t.Qwen3MoeConfig(
            **BASE, head_dim=8, moe_intermediate_size=12, num_experts=6, num_experts_per_tok=2,
            norm_topk_prob=True,
        ),
        "qwen3_moe_raw": t.Qwen3MoeConfig(
            **BASE, head_dim=8, moe_intermediate_size=12, num_experts=4, num_experts_per_tok=4
        ),
        "glm": t.GlmConfig(**{**BASE, "hidden_size": 32}, head_dim=8, rms_norm_eps=1e-5),
        "glm_no_bias": t.GlmConfig(
            **BASE, head_dim=8, attention_bias=False,
            rope_parameters=theta(partial_rotary_factor=1.0),
        ),
        "glm4": t.Glm4Config(**BASE, head_dim=8),
        "glm4_no_bias": t.Glm4Config(
            **BASE, head_dim=8, attention_bias=False,
            rope_parameters=theta(partial_rotary_factor=1.0),
        ),
        "ernie4_5": t.Ernie4_5Config(**BASE, head_dim=8),
        "ernie4_5_bias": t.Ernie4_5Config(
            **BASE, head_dim=4, use_bias=True, tie_word_embeddings=False, rope_parameters=yarn()
        ),
    }


# What llama.cpp's files cannot say of a model: the GGUF would be another one.
NO_GGUF = {
    "llama_gelu": "the activation",
    "qwen2_window": "windows",
    "qwen2_layers": "windows",
    "qwen3_window": "windows",
    "gpt2_no_scale": "the scale of attention",
    "gpt2_relu": "the activation",
    "gemma_gelu": "the activation",
    "gemma2_scalar": "the scale of attention",
    "gemma3_text_layers": "the scale of attention",
    "phi_groups": "key-value heads",
    "glm_no_bias": "the size of a head; its converter takes the width for the context",
    "starcoder2_window": "windows",
    "smollm3_window": "windows, which layers turn",
    "mixtral_window": "windows",
    "qwen2_moe_norm": "norm_topk_prob",
    "qwen3_moe_raw": "norm_topk_prob",
}

# Where a family keeps: its layers, the final norm, and in a layer the modules whose outputs are
# what attention and FFN add to the residual, and the FFN's second matrix.
LLAMA_PLACES = ("model.layers", "model.norm", "self_attn.o_proj", "mlp.down_proj", "mlp.down_proj")
SANDWICH = ("model.layers", "model.norm", "post_attention_layernorm", "post_feedforward_layernorm",
            "mlp.down_proj")
BLOOM_PLACES = ("transformer.h", "transformer.ln_f", "self_attention.dense", "mlp.dense_4h_to_h",
                "mlp.dense_4h_to_h")
MIXTURES = ("mixtral", "qwen2_moe", "qwen3_moe")
PLACES = {
    "gpt2": ("transformer.h", "transformer.ln_f", "attn.c_proj", "mlp.c_proj", "mlp.c_proj"),
    "gpt_neo": ("transformer.h", "transformer.ln_f", "attn.attention.out_proj", "mlp.c_proj",
                "mlp.c_proj"),
    "gptj": ("transformer.h", "transformer.ln_f", "attn.out_proj", "mlp.fc_out", "mlp.fc_out"),
    "gpt_neox": ("gpt_neox.layers", "gpt_neox.final_layer_norm", "attention.dense",
                 "mlp.dense_4h_to_h", "mlp.dense_4h_to_h"),
    "opt": ("model.decoder.layers", "model.decoder.final_layer_norm", "self_attn.out_proj", "fc2",
            "fc2"),
    "bloom": BLOOM_PLACES,
    "falcon": BLOOM_PLACES,
    "mpt": ("transformer.blocks", "transformer.norm_f", "attn.out_proj", "ffn.down_proj",
            "ffn.down_proj"),
    "phi": ("model.layers", "model.final_layernorm", "self_attn.dense", "mlp.fc2", "mlp.fc2"),
    "starcoder2": ("model.layers", "model.norm", "self_attn.o_proj", "mlp.c_proj", "mlp.c_proj"),
    **dict.fromkeys(MIXTURES, ("model.layers", "model.norm", "self_attn.o_proj", "mlp", "mlp")),
    "gemma2": SANDWICH,
    "gemma3_text": SANDWICH,
    "olmo2": SANDWICH,
    "olmo3": SANDWICH,
    "glm4": ("model.layers", "model.norm", "post_self_attn_layernorm", "post_mlp_layernorm",
             "mlp.down_proj"),
}


class Places:
    """The subject of golden_of: a transformers model of any family."""

    def __init__(self, model):
        self.model, config = model, model.config
        places = PLACES.get(config.model_type, LLAMA_PLACES)
        self.layers = model.get_submodule(places[0])
        self.final_norm = model.get_submodule(places[1])
        self.attention, self.ffn, self.second = places[2:]
        self.multiplier = getattr(config, "residual_multiplier", 1.0)
        self.head = model.get_output_embeddings()

    def down(self, layer):
        return self.layers[layer].get_submodule(self.second)

    def values(self, layer):
        """The value vectors, (F, D), as they are written to the residual."""
        weight = self.down(layer).weight
        rows = weight if self.model.config.model_type == "gpt2" else weight.T
        if self.ffn != self.second:
            gain = self.layers[layer].get_submodule(self.ffn).weight
            plus = 1.0 if self.model.config.model_type.startswith("gemma") else 0.0
            rows = rows * (gain + plus)
        return rows * self.multiplier

    def lens(self, residual):
        config, logits = self.model.config, self.head(self.final_norm(residual))
        if config.model_type == "granite":
            logits = logits / config.logits_scaling
        if config.model_type in ("cohere", "cohere2"):
            logits = logits * config.logit_scale
        cap = getattr(config, "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap

    @torch.no_grad()
    def run(self, ids):
        records, handles = [{} for _ in self.layers], []
        for record, block in zip(records, self.layers):
            def keep(key, record=record, of=1):
                def hook(module, inputs, output=None):
                    what = inputs[0] if of == 0 else output
                    what = what[0] if isinstance(what, tuple) else what
                    record[key] = what.detach().reshape(-1, what.shape[-1]).clone()
                return hook
            handles += [
                block.register_forward_pre_hook(keep("entered", of=0)),
                block.register_forward_hook(keep("after")),
                block.get_submodule(self.attention).register_forward_hook(keep("attention")),
                block.get_submodule(self.ffn).register_forward_hook(keep("ffn")),
                block.get_submodule(self.second).register_forward_pre_hook(keep("m", of=0)),
            ]
        logits = self.model(torch.tensor([ids]), use_cache=False).logits[0]
        for handle in handles:
            handle.remove()
        for record in records:
            record["before"] = record["entered"] + self.multiplier * record["attention"]
            record["ffn"] = self.multiplier * record["ffn"]
            difference = (record["before"] + record["ffn"] - record["after"]).abs().max()
            assert difference <= 1e-4 * record["after"].abs().max(), difference
        return logits, records

    def edited(self, ids, layer, index, value, positions):
        with FlatEdit(self, layer, index, value, positions), torch.no_grad():
            return self.model(torch.tensor([ids]), use_cache=False).logits[0]


class Mixture(Places):
    """A mixture of experts as one layer of all their neurons: its coefficients and value vectors by
    definition, the layer itself by transformers."""

    def experts(self, layer):
        """(gate, up, down) of every expert, the shared one last."""
        mlp = self.layers[layer].mlp
        out = [
            (*gate_up.chunk(2), down)
            for gate_up, down in zip(mlp.experts.gate_up_proj, mlp.experts.down_proj)
        ]
        if hasattr(mlp, "shared_expert"):
            shared = mlp.shared_expert
            out.append(
                (shared.gate_proj.weight, shared.up_proj.weight, shared.down_proj.weight)
            )
        return out

    def weights(self, layer, x):
        """(T, experts): what each expert counts; 0 where it is not chosen."""
        mlp, config = self.layers[layer].mlp, self.model.config
        best, which = torch.softmax(x @ mlp.gate.weight.T, -1).topk(config.num_experts_per_tok, -1)
        if config.model_type == "mixtral" or config.norm_topk_prob:
            best = best / best.sum(-1, keepdim=True)
        p = torch.zeros(len(x), len(mlp.experts.gate_up_proj)).scatter(1, which, best)
        if hasattr(mlp, "shared_expert"):
            p = torch.cat([p, torch.sigmoid(x @ mlp.shared_expert_gate.weight.T)], 1)
        return p

    def coefficients(self, layer, x):
        p = self.weights(layer, x)
        return torch.cat(
            [
                p[:, e : e + 1] * torch.nn.functional.silu(x @ g.T) * (x @ u.T)
                for e, (g, u, _) in enumerate(self.experts(layer))
            ],
            1,
        )

    def values(self, layer):
        return torch.cat([down.T for _, _, down in self.experts(layer)])

    @torch.no_grad()
    def run(self, ids):
        logits, records = super().run(ids)
        for layer, record in enumerate(records):
            record["m"] = self.coefficients(layer, record["m"])
            difference = (record["m"] @ self.values(layer) - record["ffn"]).abs().max()
            assert difference <= 1e-4 * record["ffn"].abs().max(), difference
        return logits, records

    @torch.no_grad()
    def edited(self, ids, layer, index, value, positions):
        def hook(module, inputs, output):
            m = self.coefficients(layer, inputs[0][0])[:, index]
            change = (value - m).unsqueeze(1) * self.values(layer)[index]
            if positions == "last":
                change[:-1] = 0
            return output + change

        handle = self.layers[layer].mlp.register_forward_hook(hook)
        logits = self.model(torch.tensor([ids]), use_cache=False).logits[0]
        handle.remove()
        return logits


def subject(model):
    return (Mixture if model.config.model_type in MIXTURES else Places)(model)


class FlatEdit(Edit):
    """Edit, also where a model runs its FFN on (T, F) instead of (1, T, F) (OPT)."""

    def hook(self, module, inputs):
        m = inputs[0].clone()
        if self.positions == "all":
            m[..., self.index] = self.value
        else:
            m.reshape(-1, m.shape[-1])[-1, self.index] = self.value
        return (m,) + inputs[1:]


def randomise(model, seed):
    """Every parameter random: gains around 1 (Gemma's around 0, to which 1 is added), biases, and
    matrices wide enough that each block changes the residual."""
    generator = torch.Generator().manual_seed(seed)
    kind = model.config.model_type
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            norm = "norm" in name or "ln_" in name
            if norm and name.endswith("weight"):
                weight.copy_((0.0 if kind.startswith("gemma") else 1.0) + 0.3 * noise)
            elif weight.dim() == 1:
                weight.copy_(0.3 * noise)
            elif any(part in name for part in ("embed", "wte", "lm_head")):
                # Gemma multiplies what it looks up by the root of the width.
                weight.copy_((0.1 if kind.startswith("gemma") else 0.6) * noise)
            elif "wpe" in name:
                weight.copy_(0.2 * noise)
            else:
                inputs = weight.shape[0] if kind == "gpt2" else weight.shape[-1]
                weight.copy_(1.5 * inputs**-0.5 * noise)


def save(folder, config, seed):
    shutil.rmtree(folder, ignore_errors=True)
    model = t.AutoModelForCausalLM.from_config(config)
    randomise(model, seed)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    return t.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def convert(llama_cpp, folder, out):
    """Writes the GGUF by llama.cpp's converter; says why where it takes no such model."""
    if str(llama_cpp) not in sys.path:
        sys.path[:0] = [str(llama_cpp), str(llama_cpp / "gguf-py")]
    logging.disable(logging.CRITICAL)
    import gguf
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    try:
        kind = get_model_architecture(ModelBase.load_hparams(folder, False), ModelType.TEXT)
        made = get_model_class(kind)

        class WithoutText(made):
            model_arch = made.model_arch

            def set_vocab(self):
                self.gguf_writer.add_tokenizer_model("none")

        out.unlink(missing_ok=True)
        size = json.loads((folder / "config.json").read_text())["vocab_size"]
        text = folder / "tokenizer.json"  # Gemma 3's converter counts its tokens
        text.write_text(json.dumps({"model": {"vocab": dict.fromkeys(map(str, range(size)))},
                                    "added_tokens": []}))
        with torch.inference_mode():
            WithoutText(folder, gguf.LlamaFileType.ALL_F32, out, eager=True).write()
        return "gguf"
    except BaseException as e:  # the converter leaves by any kind
        out.unlink(missing_ok=True)
        return f"no gguf: {type(e).__name__} {str(e)[:90]}"
    finally:
        (folder / "tokenizer.json").unlink(missing_ok=True)


def make(llama_cpp, name, config):
    folder = HERE / "families" / name
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(60):
        model = save(folder / "hf", config, seed)
        golden = golden_of(
            name, model.config.model_type, subject(model), random_ids(model.config.vocab_size, seed)
        )
        if golden:
            break
    write_json(folder / "golden.json", golden)
    gguf = folder / "model.gguf"
    gguf.unlink(missing_ok=True)
    if name in NO_GGUF:
        said = f"no gguf, which cannot say: {NO_GGUF[name]}"
    else:
        said = convert(llama_cpp, folder / "hf", gguf)
    print(name, "seed", seed, said, flush=True)


def main():
    torch.set_num_threads(1)
    t.utils.logging.disable_progress_bar()
    t.utils.logging.set_verbosity_error()
    known = configs()
    for name in sys.argv[2:] or known:
        make(Path(sys.argv[1]).resolve(), name, known[name])


if __name__ == "__main__":
    main()
