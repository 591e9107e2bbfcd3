"""The ChatGLM2 architecture for the demo's tiny int4 checkpoint, for inference only.

Names of parameters, modules and arguments, and the layout of past_key_values ([length, batch, groups, channels] per
layer) are upstream's; the code is not.
"""

import copy

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.generation import LogitsProcessorList, StoppingCriteriaList
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from .configuration_chatglm import ChatGLMConfig
from .quantization import Int4Linear


def widened(x):
    """In float32, or float64 as it is."""
    return x if x.dtype == torch.float64 else x.float()


class RMSNorm(nn.Module):
    def __init__(self, size, eps, dtype):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size, dtype=dtype))
        self.eps = eps

    def forward(self, x):
        wide = widened(x)
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(x.dtype)


class RotaryEmbedding(nn.Module):
    """Cosines and sines for half of each head's channels, in pairs of neighbours."""

    def __init__(self, channels, dtype):
        super().__init__()
        self.dim = channels
        exponent = torch.arange(0, channels, 2, dtype=torch.float32) / channels
        self.register_buffer("inv_freq", (10000.0**-exponent).to(dtype))

    def forward(self, max_seq_len):
        angle = torch.arange(max_seq_len, device=self.inv_freq.device)[:, None] * self.inv_freq.float()[None, :]
        return torch.stack((torch.cos(angle), torch.sin(angle)), dim=-1)  # [max_seq_len, pairs, 2]


def rotate(x, rotary):
    """Rotate the leading channels of x [length, batch, heads, channels] by rotary [length, batch, pairs, 2]."""
    cos, sin = rotary[:, :, None, :, 0], rotary[:, :, None, :, 1]
    turned = widened(x[..., : 2 * cos.shape[-1]])
    even, odd = turned[..., 0::2], turned[..., 1::2]
    turned = torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)
    return torch.cat((turned.to(x.dtype), x[..., turned.shape[-1] :]), dim=-1)


class SelfAttention(nn.Module):
    def __init__(self, config, dtype):
        super().__init__()
        self.num_attention_heads_per_partition = heads = config.num_attention_heads
        self.num_multi_query_groups_per_partition = groups = config.multi_query_group_num
        self.hidden_size_per_attention_head = channels = config.kv_channels
        inner = heads * channels
        self.query_key_value = Int4Linear(config.hidden_size, inner + 2 * groups * channels, bias=True, dtype=dtype)
        self.dense = Int4Linear(inner, config.hidden_size, bias=False, dtype=dtype)

    def forward(self, hidden_states, attention_mask, rotary_pos_emb, kv_cache=None, use_cache=True):
        length, batch, _ = hidden_states.shape
        heads, groups = self.num_attention_heads_per_partition, self.num_multi_query_groups_per_partition
        mixed = self.query_key_value(hidden_states)
        mixed = mixed.view(length, batch, heads + 2 * groups, self.hidden_size_per_attention_head)
        query, key, value = mixed.split([heads, groups, groups], dim=2)
        query, key = rotate(query, rotary_pos_emb), rotate(key, rotary_pos_emb)
        if kv_cache is not None:
            key, value = torch.cat((kv_cache[0], key)), torch.cat((kv_cache[1], value))
        present = (key, value) if use_cache else None
        query, key, value = (part.permute(1, 2, 0, 3) for part in (query, key, value))
        key, value = (part.repeat_interleave(heads // groups, dim=1) for part in (key, value))
        out = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=~attention_mask)
        return self.dense(out.permute(2, 0, 1, 3).reshape(length, batch, -1)), present


class MLP(nn.Module):
    def __init__(self, config, dtype):
        super().__init__()
        self.dense_h_to_4h = Int4Linear(config.hidden_size, 2 * config.ffn_hidden_size, bias=False, dtype=dtype)
        self.dense_4h_to_h = Int4Linear(config.ffn_hidden_size, config.hidden_size, bias=False, dtype=dtype)

    def forward(self, x):
        gate, up = self.dense_h_to_4h(x).chunk(2, dim=-1)
        return self.dense_4h_to_h(nn.functional.silu(gate) * up)


class GLMBlock(nn.Module):
    def __init__(self, config, dtype):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.layernorm_epsilon, dtype)
        self.self_attention = SelfAttention(config, dtype)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.layernorm_epsilon, dtype)
        self.mlp = MLP(config, dtype)

    def forward(self, hidden_states, attention_mask, rotary_pos_emb, kv_cache=None, use_cache=True):
        x = self.input_layernorm(hidden_states)
        attended, present = self.self_attention(x, attention_mask, rotary_pos_emb, kv_cache, use_cache)
        x = hidden_states + attended
        return x + self.mlp(self.post_attention_layernorm(x)), present


class GLMTransformer(nn.Module):
    def __init__(self, config, dtype):
        super().__init__()
        self.num_layers = config.num_layers
        self.layers = nn.ModuleList(GLMBlock(config, dtype) for _ in range(config.num_layers))
        self.final_layernorm = RMSNorm(config.hidden_size, config.layernorm_epsilon, dtype)

    def forward(self, hidden_states, attention_mask, rotary_pos_emb, kv_caches=None, use_cache=True):
        presents = () if use_cache else None
        for index in range(self.num_layers):
            past = kv_caches[index] if kv_caches else None
            hidden_states, present = self.layers[index](hidden_states, attention_mask, rotary_pos_emb, past, use_cache)
            if use_cache:
                presents += (present,)
        return self.final_layernorm(hidden_states), presents


class Embedding(nn.Module):
    def __init__(self, config, dtype):
        super().__init__()
        self.word_embeddings = nn.Embedding(config.padded_vocab_size, config.hidden_size, dtype=dtype)

    def forward(self, input_ids):
        return self.word_embeddings(input_ids).transpose(0, 1)  # [length, batch, hidden]


class ChatGLMPreTrainedModel(PreTrainedModel):
    config_class = ChatGLMConfig
    base_model_prefix = "transformer"
    _no_split_modules = ["GLMBlock"]  # noqa: RUF012

    def _init_weights(self, module):
        """Nothing: every parameter comes from the checkpoint."""


class ChatGLMModel(ChatGLMPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        dtype = config.torch_dtype or torch.float16
        dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
        self.embedding = Embedding(config, dtype)
        self.rotary_pos_emb = RotaryEmbedding(config.kv_channels // 2, dtype)
        self.encoder = GLMTransformer(config, dtype)
        self.output_layer = nn.Linear(config.hidden_size, config.padded_vocab_size, bias=False, dtype=dtype)

    def get_input_embeddings(self):
        return self.embedding.word_embeddings

    def get_masks(self, input_ids, past, padding):
        """Return what may not be seen, [batch, 1, length, past + length]."""
        batch, length = input_ids.shape
        seen = torch.ones(batch, length, past + length, dtype=torch.bool, device=input_ids.device).tril(past)
        if padding is not None:
            seen &= padding.bool()[:, None, :]
            seen[..., -length:] |= torch.eye(length, dtype=torch.bool, device=input_ids.device)  # no empty row
        return ~seen[:, None]

    def forward(
        self,
        input_ids,
        position_ids=None,
        *,
        attention_mask=None,
        full_attention_mask=None,
        past_key_values=None,
        use_cache=None,
        return_dict=None,
    ):
        use_cache = self.config.use_cache if use_cache is None else use_cache
        length = input_ids.shape[1]
        if full_attention_mask is None:
            past = past_key_values[0][0].shape[0] if past_key_values else 0
            full_attention_mask = self.get_masks(input_ids, past, attention_mask)
        if position_ids is None:
            position_ids = torch.arange(length, device=input_ids.device)[None]
        rotary = self.rotary_pos_emb(int(position_ids.max()) + 1)[position_ids].transpose(0, 1)
        x, presents = self.encoder(
            self.embedding(input_ids), full_attention_mask, rotary, kv_caches=past_key_values, use_cache=use_cache
        )
        return BaseModelOutputWithPast(last_hidden_state=x, past_key_values=presents)


class ChatGLMForConditionalGeneration(ChatGLMPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.transformer = ChatGLMModel(config)

    def forward(
        self,
        input_ids,
        position_ids=None,
        *,
        attention_mask=None,
        past_key_values=None,
        use_cache=None,
        return_dict=None,
        return_last_logit=False,
    ):
        output = self.transformer(
            input_ids=input_ids,
            position_ids=position_ids,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            use_cache=use_cache,
        )
        hidden = output.last_hidden_state[-1:] if return_last_logit else output.last_hidden_state
        logits = self.transformer.output_layer(hidden).transpose(0, 1)
        return CausalLMOutputWithPast(logits=logits, past_key_values=output.past_key_values)

    @torch.inference_mode()
    def stream_generate(self, input_ids, *, past_key_values=None, logits_processor=None, **settings):
        """Yield (ids so far, past_key_values) after each new token; one sequence at a time.

        As upstream's, it chooses through private methods of transformers (4.42 changed them): a virtualenv with a
        version that upstream's code cannot use fails here too.
        """
        config = copy.deepcopy(self.generation_config)
        config.update(**{"max_length": 8192, "do_sample": True, "top_p": 0.8, "temperature": 0.8, **settings})
        process = self._get_logits_processor(
            generation_config=config,
            input_ids_seq_length=input_ids.shape[-1],
            encoder_input_ids=input_ids,
            prefix_allowed_tokens_fn=None,
            logits_processor=logits_processor if logits_processor is not None else LogitsProcessorList(),
        )
        finished = self._get_stopping_criteria(generation_config=config, stopping_criteria=StoppingCriteriaList())
        warp = self._get_logits_warper(config)
        new, place = input_ids, past_key_values[0][0].shape[0] if past_key_values else 0
        while True:
            places = torch.arange(place, place + new.shape[1], device=new.device)[None]
            output = self(new, position_ids=places, past_key_values=past_key_values, return_last_logit=True)
            past_key_values, place = output.past_key_values, place + new.shape[1]
            scores = process(input_ids, output.logits[:, -1, :].float())
            if config.do_sample:
                new = torch.multinomial(torch.softmax(warp(input_ids, scores), dim=-1), 1)
            else:
                new = scores.argmax(-1, keepdim=True)
            input_ids = torch.cat((input_ids, new), dim=-1)
            yield input_ids, past_key_values
            if int(new) == self.config.eos_token_id or bool(torch.as_tensor(finished(input_ids, None)).any()):
                return

    @torch.inference_mode()
    def generate(self, input_ids, max_new_tokens=None, max_length=8192, **kwargs):
        """Return the prompt's ids with the generated ones behind them."""
        if max_new_tokens is not None:
            max_length = input_ids.shape[-1] + max_new_tokens
        kwargs.pop("past_key_values", None)
        for ids, _past in self.stream_generate(input_ids, max_length=max_length, **kwargs):
            input_ids = ids
        return input_ids

    @torch.inference_mode()
    def chat(self, tokenizer, query, history=None, **kwargs):
        """Return (response, history with this turn appended)."""
        history = list(history or [])
        inputs = tokenizer([tokenizer.build_prompt(query, history)], return_tensors="pt").to(self.device)
        prompt = inputs["input_ids"]
        answer = self.generate(prompt, **kwargs)[0, prompt.shape[-1] :].tolist()
        response = tokenizer.decode(answer, skip_special_tokens=True).strip()
        return response, [*history, (query, response)]

    @torch.inference_mode()
    def stream_chat(self, tokenizer, query, history=None, past_key_values=None, return_past_key_values=False, **kwargs):
        """Yield (response so far, history[, past_key_values]) after each token that adds text."""
        history = list(history or [])
        if past_key_values is None:
            ids = tokenizer(tokenizer.build_prompt(query, history))["input_ids"]
        else:  # the cache holds the earlier turns: only this one is new
            ids = tokenizer.encode(f"\n\n[Round {len(history) + 1}]\n\n问：{query}\n\n答：", add_special_tokens=False)
            ids = ids[1:]  # without the word-start mark that sentencepiece puts before every text
        prompt = torch.tensor([ids], device=self.device)
        for output, past in self.stream_generate(prompt, past_key_values=past_key_values, **kwargs):
            response = tokenizer.decode(output[0, prompt.shape[-1] :].tolist(), skip_special_tokens=True).strip()
            if not response or response.endswith("\ufffd"):  # half a character so far
                continue
            turn = [*history, (query, response)]
            yield (response, turn, past) if return_past_key_values else (response, turn)
