"""Word vectors of the wordllama package: 32,000 parts of words in 256 dimensions, offline.

Its two files are read here without the package's own code, which would fetch the tokenizer from
the network, set up the root logger, and take 75 MB where this takes 20: the vectors stay a file
that the processes of a machine map into memory together.
"""

import json
import struct
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from smart_audit.audit.meaning import rendering

Vectors = npt.NDArray[np.float32]
"""A row for each text, of length 1 unless the text is empty."""

DIMENSIONS: Final = 256
NAME: Final = f"wordllama-l2-supercat-256/{rendering.VERSION}"
"""Of the model, with the version of the texts that it embeds."""
_WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
_TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"
_MATRIX: Final = "embedding.weight"
_LOADING: Final = Lock()


class WordVectors:
    """Texts as the mean of the vectors of their parts. Loading takes about 0.4 s."""

    def __init__(self) -> None:
        folder = _package_folder()
        self._tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._matrix = _mapped(folder / _WEIGHTS)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The vectors of texts."""
        found = np.zeros((len(texts), DIMENSIONS), np.float32)
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        for row, one in zip(found, encoded, strict=True):
            if one.ids:
                np.mean(self._matrix[one.ids], axis=0, dtype=np.float32, out=row)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        np.divide(found, lengths, out=found, where=lengths > 0)
        return found


def word_vectors() -> WordVectors:
    """The one that all share, loaded when it is first needed."""
    with _LOADING:
        return _loaded()


@cache
def _loaded() -> WordVectors:
    return WordVectors()


def _package_folder() -> Path:
    spec = find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package wordllama is not installed")
    return Path(spec.origin).parent


def _mapped(path: Path) -> npt.NDArray[np.float16]:
    """The matrix in a file of the safetensors format.

    The file begins with the length of its header (8 bytes, little-endian) and the header (JSON),
    which says where after it each tensor lies. Source: safetensors, "Format".
    """
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        entry = json.loads(file.read(length))[_MATRIX]
    if entry["dtype"] != "F16" or entry["shape"][1] != DIMENSIONS:
        raise RuntimeError(f"{path.name} holds no vectors of {DIMENSIONS} half-precision numbers")
    start = 8 + length + entry["data_offsets"][0]
    return np.memmap(path, np.float16, "r", start, tuple(entry["shape"]))
