# SPDX-License-Identifier: BSD-3-Clause
"""Writes a transformers model as GGUF in llama.cpp's conventions: its key names, tensor names and
weight layouts."""

import gguf
import numpy as np
import torch

ARCHITECTURES = {
    "gpt2": gguf.MODEL_ARCH.GPT2,
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "gpt_neox": gguf.MODEL_ARCH.GPTNEOX,
}
TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def interleave(weight, heads):
    """Rows of each head from (first half, second half) to pairs (0, hd/2, 1, hd/2+1, ..): RoPE on
    neighbours."""
    rows = weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1)
    return np.ascontiguousarray(rows.swapaxes(1, 2)).reshape(weight.shape)


def deinterleave(weight, heads):
    """The inverse of interleave."""
    rows = weight.reshape(heads, weight.shape[0] // heads // 2, 2, -1)
    return np.ascontiguousarray(rows.swapaxes(1, 2)).reshape(weight.shape)


def split_qkv(weight, heads):
    """gpt_neox stores q, k, v of head 0, then of head 1, ..; GGUF wants all q, all k, all v."""
    parts = weight.reshape(heads, 3, weight.shape[0] // heads // 3, -1)
    return np.ascontiguousarray(parts.swapaxes(0, 1)).reshape(weight.shape)


def convert(name, weight, config):
    """The GGUF layout of one tensor."""
    kind = config.model_type
    if kind in ("llama", "mistral") and name.endswith(("q_proj.weight", "k_proj.weight")):
        query = name.endswith("q_proj.weight")
        return interleave(
            weight, config.num_attention_heads if query else config.num_key_value_heads
        )
    if kind == "gpt2" and name.endswith(TRANSPOSED):
        return np.ascontiguousarray(weight.T)
    if kind == "gpt_neox" and "query_key_value" in name:
        return split_qkv(weight, config.num_attention_heads)
    return weight


def tensors(model):
    """{GGUF name: float32 array} of a model; tied output weights are left out."""
    config = model.config
    names = gguf.get_tensor_name_map(ARCHITECTURES[config.model_type], config.num_hidden_layers)
    out = {}
    for name, tensor in model.state_dict().items():
        if config.tie_word_embeddings and name in ("lm_head.weight", "embed_out.weight"):
            continue
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert target is not None, name
        out[target] = convert(name, tensor.float().numpy(), config)
    factors = rope_factors(config)
    if factors is not None:
        out["rope_freqs.weight"] = factors
    return out


def rope_theta(config):
    return config.rope_parameters["rope_theta"]


def rope_factors(config):
    """llama3 scaling as llama.cpp keeps it: what to divide each of the hd/2 frequencies by."""
    rope = getattr(config, "rope_parameters", None)
    if not rope or rope.get("rope_type") != "llama3":
        return None
    half = config.head_dim // 2
    frequencies = rope["rope_theta"] ** -(torch.arange(half, dtype=torch.float64) / half)
    wavelengths = 2 * torch.pi / frequencies
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    context = rope["original_max_position_embeddings"]
    smooth = ((context / wavelengths - low) / (high - low)).clamp(0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).float().numpy()


def add_keys(writer, config):
    """Hyperparameters, by the names that llama.cpp reads for each architecture."""
    kind = config.model_type
    writer.add_name("golden")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_feed_forward_length(
        4 * config.n_embd if kind == "gpt2" else config.intermediate_size
    )
    writer.add_tokenizer_model("none")
    if kind == "gpt2":
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_rope_freq_base(rope_theta(config))
    if kind == "gpt_neox":
        writer.add_layer_norm_eps(config.layer_norm_eps)
        writer.add_parallel_residual(config.use_parallel_residual)
        writer.add_rope_dimension_count(int(config.rope_parameters["partial_rotary_factor"] * head))
        return
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if kind in ("llama", "mistral"):
        writer.add_rope_dimension_count(head)
        writer.add_vocab_size(config.vocab_size)
    if head * config.num_attention_heads != config.hidden_size:
        writer.add_key_length(head)
        writer.add_value_length(head)
    if kind == "mistral":
        writer.add_sliding_window(config.sliding_window)


def write(path, model, quantized=None):
    """Writes `model`; `quantized` maps a GGUF name to (raw bytes as uint8 (rows, row bytes),
    quantization type)."""
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[ARCHITECTURES[model.config.model_type]])
    add_keys(writer, model.config)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    if quantized:
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for name, weight in tensors(model).items():
        if quantized and name in quantized:
            data, kind = quantized[name]
            writer.add_tensor(name, data, raw_dtype=kind)
        else:
            writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
