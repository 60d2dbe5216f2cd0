"""Which options mean nothing beside others: one table for the command line and for Python.

What is given and would be ignored is refused. A value that is a limit (temperature 0 beside top-k) is no contradiction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charrnn.config.options import ResumeOptions, TrainOptions
from charrnn.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Rule:
    """In these commands and verbs `options` mean nothing beside one of `beside`, or without any of `without`.

    Commands go by their names, verbs by their qualified ones. With `being`, what is in the way, or what they need, is
    an option of that value alone.
    """

    verbs: tuple[str, ...]
    options: tuple[str, ...]
    beside: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    being: str | None = None
    because: str = ""

    def complaint(self, given: Mapping[str, Any]) -> str:
        """What is wrong with these options by name, in a line; nothing where they go together."""
        named = [name for name in self.options if name in given]
        there = [name for name in (*self.beside, *self.without) if name in given]
        if self.being is not None:
            there = [name for name in there if given[name] == self.being]
        value = "" if self.being is None else f"={self.being!r}"
        because = f" ({self.because})" if self.because else ""
        if named and self.beside and there:
            return f"`{named[0]}` means nothing beside `{there[0]}{value}`{because}: leave out one of them"
        if named and self.without and not there:
            needed = " or ".join(f"`{name}{value}`" for name in self.without)
            return f"`{named[0]}` means nothing without {needed}{because}: add that, or leave out `{named[0]}`"
        return ""


RESUMED = {"name", "corpus", *ResumeOptions.__dataclass_fields__}
NEW_RUN = tuple(name for name in TrainOptions.__dataclass_fields__ if name not in RESUMED)
PENALTIES = ("repetition_penalty", "frequency_penalty", "presence_penalty")
PATTERNS = ("grammar", "match", "lines", "min_length")
# What is said of texts that are drawn: each option of a sampling, and what becomes of the texts.
DRAWING = (
    "length", "stop", "max_copy", "report_copy", "temperature", "allow", "ban", *PENALTIES, "repetition_window",
    "top_k", "top_p", "min_p",
    "typical_p", "eta", "surprise", *PATTERNS, "sampler", "rows", "best", "sort", "seed", "unique", "novel", "exclude",
    "ignore_case", "echo", "as_json", "colour", "html",
)  # fmt: skip
# What becomes of whole texts.
WHOLE = ("best", "sort", "unique", "novel", "exclude", "ignore_case", "report_copy", "html", "state_out")
SAMPLING = ("Writer.sample", "Writer.stream", "Writer.samples")

RULES = (
    Rule(verbs=("train",), options=NEW_RUN, beside=("resume",), because="a run goes on as it began"),
    Rule(verbs=("train",), options=("config",), beside=("resume",), because="a run goes on as it began"),
    Rule(verbs=("train",), options=("more",), without=("resume",), because="a new run has spent nothing yet"),
    Rule(verbs=("train", "Training.start"), options=("vocab_size",), without=("tokenizer",), being="subword",
         because="characters and bytes are as many as there are"),
    Rule(verbs=("sample",), options=("model",), beside=("shares",)),
    Rule(verbs=("sample", "Writer.samples"), options=("sort",), beside=("best",), because="the best come sorted"),
    Rule(verbs=("sample",), options=("prompt",), beside=("prompt_file",)),
    Rule(verbs=("sample",), options=("colour",), beside=("as_json",)),
    Rule(verbs=("sample",), options=(*WHOLE, *PATTERNS, "sampler", "stop", "colour", "interactive", "prompt",
                                     "prompt_file", "state_in", "shares", "against"),
         beside=("infill",), because="which writes what fits a gap"),
    Rule(verbs=("sample",), options=(*WHOLE, "rows", "as_json"), beside=("interactive",),
         because="which writes one text, turn by turn"),
    Rule(verbs=("sample",), options=DRAWING, beside=("state_out",), because="which reads, and writes no text"),
    Rule(verbs=("sample",), options=("repetition_window",), without=PENALTIES),
    Rule(verbs=("Writer.sample", "Writer.stream"), options=("repetition_window",), without=(*PENALTIES, "config")),
    Rule(verbs=("sample", *SAMPLING), options=("stop",), beside=PATTERNS, because="which says where a text ends"),
    Rule(verbs=("sample", *SAMPLING), options=("grammar",), beside=("match", "lines", "min_length"),
         because="one mask says where a text ends"),
    Rule(verbs=("sample",), options=("sampler",), without=PATTERNS),
    Rule(verbs=SAMPLING, options=("sampler",), without=(*PATTERNS, "config")),
    Rule(verbs=("sample", "Writer.samples"), options=("ignore_case",),
         without=("unique", "novel", "exclude")),
    Rule(verbs=("eval",), options=("test",), beside=("texts",)),
    Rule(verbs=("eval",), options=("metric", "test", "lines", "reset_every", "adapt", "fit_temperature", "baselines",
                                   "html"),
         beside=("pairs",)),
    Rule(verbs=("eval",), options=("end",), without=("pairs",)),
    Rule(verbs=("eval",), options=("metric",), without=("quiet", "fail_above", "fail_below", "baseline")),
    Rule(verbs=("eval",), options=("tolerance",), without=("baseline",)),
    Rule(verbs=("compare",), options=("test",), beside=("texts",)),
    Rule(verbs=("compare",), options=("per", "top"), beside=("quiet",)),
    Rule(verbs=("compare",), options=("top",), beside=("per",)),
    Rule(verbs=("compare",), options=("reset_every",), beside=("lines",)),
    Rule(verbs=("eval", "Scorer.score"), options=("reset_every",), beside=("lines", "adapt")),
    Rule(verbs=("eval", "Scorer.score"), options=("reset_every", "lines"), beside=("baselines",),
         because="compressors read a text through"),
    Rule(verbs=("eval",), options=("baselines",), beside=("quiet",)),
    Rule(verbs=("compress", "Scorer.compress"), options=("blocks",), beside=("adapt",),
         because="counts learn from one symbol after another"),
    Rule(verbs=("score", "Scorer.score_lines"), options=("context",), beside=("adapt",),
         because="counts read what is scored"),
    Rule(verbs=("score",), options=("space",), without=("per",), being="word"),
    Rule(verbs=("score",), options=("field",), beside=("column",)),
    Rule(verbs=("score",), options=("prefix",), beside=("quiet",)),
    Rule(verbs=("fill", "Filler.fill"), options=("drawn", "seed"), beside=("candidates",)),
    Rule(verbs=("embed", "Scorer.embed"), options=("pool",), beside=("per",), being="char",
         because="it gives the state with which it has been read"),
    Rule(verbs=("embed", "Scorer.embed"), options=("pool",), beside=("per",), being="token",
         because="it gives the state with which it has been read"),
    Rule(verbs=("gradients",), options=("hidden", "layers", "skip", "spectral_radius"), without=("cell",),
         because="which names the untrained networks that it is of"),
    Rule(verbs=("gradients",), options=("model", "checkpoints"), beside=("cell",)),
    Rule(verbs=("page",), options=("model",), beside=("named",)),
    Rule(verbs=("memory",), options=("html",), without=("saliency_of", "saliency_file")),
    Rule(verbs=("memory",), options=("texts", "fixed_context", "compare_with", "length", "svg"),
         beside=("saliency_of", "saliency_file")),
    Rule(verbs=("neurons",), options=("unit",), beside=("as_json", "quiet")),
)  # fmt: skip


def refuse(verb: str, given: Mapping[str, Any]) -> None:
    """Raise ConfigError where one of the options given to a command or a verb would be ignored."""
    for rule in RULES:
        if verb in rule.verbs and (complaint := rule.complaint(given)):
            raise ConfigError(complaint)
