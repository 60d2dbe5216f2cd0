"""How much a server takes on."""

from dataclasses import dataclass
from functools import partial

from charrnn.config import Config, Range, option

limit = partial(option, group="Limits")


@dataclass(frozen=True, kw_only=True)
class Limits(Config):
    """What is beyond one of these is refused with an error that says so, or waits."""

    max_tokens: int = limit("Tokens of a completion at most.", default=16_384, range=Range(at_least=1, at_most=10**9))
    rows: int = limit("Texts written side by side; more wait.", default=64, range=Range(at_least=1, at_most=100_000))
    queue: int = limit(
        "Texts that wait at most; more are told to come again.", default=1024, range=Range(at_least=1, at_most=10**6)
    )
    max_body: int = limit("Bytes of a request at most.", default=2**20, range=Range(at_least=1024, at_most=2**30))
    patience: int = limit(
        "Seconds that a request may take to arrive.", default=30, range=Range(at_least=1, at_most=3600)
    )
    connections: int = limit("Connections at a time.", default=1024, range=Range(at_least=1, at_most=10**6))
    cache: int = limit(
        "Megabytes for the states of prompts that were read.", default=64, range=Range(at_least=0, at_most=10**6)
    )
