"""What text can be drawn from: one model, or several read as one."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from charrnn import native
from charrnn.inference.base import Engine
from charrnn.inference.compiled import has_step
from charrnn.inference.formats import INT8
from charrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from charrnn.api.opened import Opened


class Source(ABC):
    """What there must be for texts to be written."""

    tokenizer: Tokenizer

    @property
    @abstractmethod
    def precision(self) -> str:
        """In what numbers it generates, unless told: int8 or fp32."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """What it is, in one number: SHA-256, in hexadecimal."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What it is, in words."""

    @property
    @abstractmethod
    def documents(self) -> str:
        """How its training text was told apart: stream, lines or paragraphs."""

    @property
    @abstractmethod
    def opened(self) -> "tuple[Opened, ...]":
        """The models that it is, or is made of."""

    def computed(self, precision: str) -> str:
        """Who computes its steps in these numbers, in words: compiled (AVX2), in NumPy."""
        ours = precision == INT8 and all(has_step(model.config.single) for model in self.opened)
        return native.used() if ours else "in NumPy"

    @abstractmethod
    def open_engine(self, precision: str) -> Engine:
        """What reads one token after another. Raises ConfigError where that cannot be done in these numbers."""
