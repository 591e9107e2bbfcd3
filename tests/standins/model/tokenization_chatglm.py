"""Tokenizer of the demo's tiny model: sentencepiece, plus five control tokens above its vocabulary."""

import os
import shutil

from sentencepiece import SentencePieceProcessor
from transformers import PreTrainedTokenizer

CONTROL_TOKENS = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"]


class ChatGLMTokenizer(PreTrainedTokenizer):
    vocab_files_names = {"vocab_file": "tokenizer.model"}  # noqa: RUF012

    def __init__(self, vocab_file, **kwargs):
        # Before super().__init__, which asks for the vocabulary (transformers 4.34 and newer).
        self.vocab_file = vocab_file
        self.sp_model = SentencePieceProcessor(model_file=vocab_file)
        size = self.sp_model.get_piece_size()
        self.control_ids = {token: size + i for i, token in enumerate(CONTROL_TOKENS)}
        self.control_tokens = {i: token for token, i in self.control_ids.items()}
        kwargs = {
            "unk_token": "<unk>",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "pad_token": "<unk>",
            "padding_side": "left",
            "clean_up_tokenization_spaces": False,
            **kwargs,
        }
        super().__init__(**kwargs)

    @property
    def vocab_size(self):
        return self.sp_model.get_piece_size() + len(CONTROL_TOKENS)

    def get_vocab(self):
        vocab = {self._convert_id_to_token(i): i for i in range(self.vocab_size)}
        vocab.update(self.added_tokens_encoder)
        return vocab

    def get_command(self, token):
        return self.control_ids[token]

    def _tokenize(self, text, **kwargs):
        return self.sp_model.encode(text, out_type=str)

    def _convert_token_to_id(self, token):
        return self.control_ids[token] if token in self.control_ids else self.sp_model.piece_to_id(token)

    def _convert_id_to_token(self, index):
        return self.control_tokens[index] if index in self.control_tokens else self.sp_model.id_to_piece(index)

    def convert_tokens_to_string(self, tokens):
        return self.sp_model.decode_pieces([token for token in tokens if token not in self.control_ids])

    def build_prompt(self, query, history=None):
        """The whole conversation as text, each turn under a [Round n] heading."""
        history = history or []
        rounds = [f"[Round {i}]\n\n问：{q}\n\n答：{a}\n\n" for i, (q, a) in enumerate(history, 1)]
        return "".join(rounds) + f"[Round {len(history) + 1}]\n\n问：{query}\n\n答："

    def build_inputs_with_special_tokens(self, token_ids_0, token_ids_1=None):
        ids = [self.control_ids["[gMASK]"], self.control_ids["sop"], *token_ids_0]
        return ids if token_ids_1 is None else [*ids, *token_ids_1, self.eos_token_id]

    def save_vocabulary(self, save_directory, filename_prefix=None):
        target = os.path.join(save_directory, (filename_prefix or "") + "tokenizer.model")
        if os.path.abspath(target) != os.path.abspath(self.vocab_file):
            shutil.copyfile(self.vocab_file, target)
        return (target,)
