"""Configuration of the demo's tiny ChatGLM2-architecture model; key names as in upstream's config.json."""

from transformers import PretrainedConfig


class ChatGLMConfig(PretrainedConfig):
    """Sizes of the model. The keys that this small code does not read are kept for upstream's code."""

    model_type = "chatglm"

    def __init__(
        self,
        *,
        num_layers=2,
        padded_vocab_size=512,
        hidden_size=320,
        ffn_hidden_size=128,
        kv_channels=80,
        num_attention_heads=4,
        multi_query_group_num=2,
        seq_length=32768,
        layernorm_epsilon=1e-5,
        **kwargs,
    ):
        self.num_layers = num_layers
        self.vocab_size = padded_vocab_size
        self.padded_vocab_size = padded_vocab_size
        self.hidden_size = hidden_size
        self.ffn_hidden_size = ffn_hidden_size
        self.kv_channels = kv_channels
        self.num_attention_heads = num_attention_heads
        self.multi_query_group_num = multi_query_group_num
        self.seq_length = seq_length
        self.layernorm_epsilon = layernorm_epsilon
        super().__init__(**kwargs)
