"""Everything that charrnn raises on purpose.

    CharrnnError            one line: what is wrong, and what to do
    ├── ConfigError         a value out of range, options that contradict each other
    ├── CorpusError         a text that cannot be read, or cannot be used
    │   └── VocabularyError a symbol that the tokenizer does not hold
    ├── CheckpointError     a file that is no checkpoint, or is damaged, or cannot be written
    ├── RunError            a run that is not there, or whose name is taken
    ├── DivergedError       a training that found no finite loss again
    └── DeviceMemoryError   a GPU without memory left

A `ConfigError` is wrong usage (exit code 2), all others are failures (exit code 1). Messages name fields in backticks,
`batch_size`; the command line writes them as its flags, --batch-size. A message is one line that can be read, whatever
it quotes.
"""

import re

LONGEST = 400


def one_line(message: str) -> str:
    """A message as one readable line: what cannot be seen is escaped, the middle of what is too long is left out."""
    line = re.sub(r"\s*\n\s*", " ", message.strip("\n"))
    line = "".join(each if each.isprintable() else repr(each)[1:-1] for each in line)
    # What was wrong stands at the beginning, what to do at the end.
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"


class CharrnnError(Exception):
    """Base of all errors that a user can do something about. Its message is made one readable line."""

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


class ConfigError(CharrnnError):
    """A value out of range, or options that contradict each other."""


class CorpusError(CharrnnError):
    """A text that cannot be read, or cannot be used."""


class VocabularyError(CorpusError):
    """A symbol that the tokenizer does not hold."""


class CheckpointError(CharrnnError):
    """A file that is no checkpoint, is damaged, or cannot be written."""


class RunError(CharrnnError):
    """A run that is not there, or whose name is taken."""


class DivergedError(CharrnnError):
    """Training lost its finite loss and did not find it again."""


class DeviceMemoryError(CharrnnError):
    """A GPU whose memory does not suffice."""
