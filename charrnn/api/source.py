"""What text can be drawn from: one model, or several read as one."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from charrnn.inference.base import Engine
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

    @abstractmethod
    def open_engine(self, precision: str) -> Engine:
        """What reads one token after another. Raises ConfigError where that cannot be done in these numbers."""
