"""What is done to the stretches of a large text side by side (`workers.py`); what is given and said is plain JSON."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from charrnn.text.dataset import encode_part
from charrnn.text.stretches import Found, Piece, Stretch
from charrnn.text.survey import looked_at
from charrnn.text.token_files import TokenWriter
from charrnn.text.tokenizers import from_spec
from charrnn.text.workers import serve


def look(stretch: dict[str, Any], hashed: bool) -> tuple[dict[str, Any], str | None]:
    """What a stretch holds, and the hash of its bytes where that is asked for."""
    found, digest = Found(), hashlib.sha256() if hashed else None
    for _ in looked_at(Stretch(**stretch), found, digest):
        pass
    return asdict(found), digest.hexdigest() if digest else None


def hash_of(stretch: dict[str, Any]) -> str:
    """The hash of the bytes of a whole source."""
    Stretch(**stretch).hash(digest := hashlib.sha256())
    return digest.hexdigest()


def encode(piece: dict[str, Any], tokenizer: dict[str, Any], file: str) -> tuple[int, int]:
    """Write the tokens of a piece of a stream to a file; how many characters, and unknown ones, they stand for."""
    known = from_spec(tokenizer)
    read = Piece(**{**piece, "stretch": Stretch(**piece["stretch"])}).read()
    part = encode_part(known, read, "stream", writer=TokenWriter(known.size + 2, keep=Path(file)))
    return part.chars, part.unknown


def main() -> None:
    """One of the processes."""
    serve({"look": look, "hash": hash_of, "encode": encode})
