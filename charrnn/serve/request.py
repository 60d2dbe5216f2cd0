"""From the JSON of a request to what is asked for. Unknown fields are refused: none is ignored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from charrnn.config import SEEDS, Config, Range, draw_seed, option, unknown
from charrnn.config.fields import shown, tuple_of
from charrnn.config.together import refuse
from charrnn.generation.config import SampleConfig
from charrnn.serve.problems import MISSING, Problem
from charrnn.text.tokenizers import Tokenizer

# What begins a text and ends a document, as a token of its own.
BORDER = "<|endoftext|>"
# Choices of one request, and stop strings.
MOST_CHOICES, MOST_STOPS = 1024, 16
# Tokens of prompts that its rows hold, and log-probabilities that are told of it.
MOST_NUMBERS = 1 << 22
# Fields of a sampling that have another name here, or no place.
ELSEWHERE = {"length", "sampler", "stop"}
SAMPLING = [name for name in SampleConfig.__dataclass_fields__ if name not in ELSEWHERE]
# OpenAI's that nothing here does: taken where they say what happens anyway.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {"suffix": (None, ""), "logit_bias": (None, {}), "best_of": (None, 1)}
# OpenAI's for what is off: a number here.
OFF = {"frequency_penalty": 0, "presence_penalty": 0}


@dataclass(frozen=True, kw_only=True)
class Fields(Config):
    """The fields of a completion that are not those of a sampling; defaults are OpenAI's."""

    model: str | None = option("Which model.", "")
    prompt: object = option("A text, several, token ids, or several of these.", "", default="")
    max_tokens: int = option("Tokens at most.", "", default=16, range=Range(at_least=0))
    n: int = option("Texts for each prompt.", "", default=1, range=Range(at_least=1, at_most=MOST_CHOICES))
    stop: object = option("Strings before which a text ends.", "")
    seed: int | None = option("Seed of the first text.", "", range=Range(at_least=0, at_most=SEEDS - 1))
    echo: bool = option("The prompt in front.", "", default=False)
    logprobs: int | None = option(
        "Log-probabilities, and so many alternatives.", "", range=Range(at_least=0, at_most=20)
    )
    stream: bool = option("Each piece as it comes.", "", default=False)
    stream_options: object = option("include_usage.", "")
    user: str | None = option("Whoever asks; taken for nothing.", "")


KNOWN = [*Fields.__dataclass_fields__, *SAMPLING, *NEUTRAL]


@dataclass(frozen=True)
class Asked:
    """A request that was read: each prompt as token ids, without the start."""

    prompts: list[list[int]]
    begins: bool
    """Whether prompts were ids, the start in front."""
    fields: Fields
    config: SampleConfig
    seed: int
    usage: bool
    """Whether a stream ends with the number of tokens."""

    @property
    def choices(self) -> int:
        """How many texts."""
        return len(self.prompts) * self.fields.n


def read_json(body: bytes) -> dict[str, Any]:
    """The object that a body holds. Raises Problem."""
    try:
        found = json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise Problem("the body is nested too deeply") from None
    except ValueError as error:  # no JSON, no UTF-8, or an integer of thousands of digits
        raise Problem(f"the body is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise Problem("the body must be a JSON object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def model_of(given: Mapping[str, Any], names: Sequence[str]) -> str:
    """Which model is asked for; the first, where none is named. Raises Problem."""
    name = given.get("model")
    if name is None:
        return names[0]
    if name not in names:
        raise Problem(
            f"there is no model {shown(name)}; there are {', '.join(names)}", MISSING, param="model",
            code="model_not_found",
        )  # fmt: skip
    return str(name)


def read_request(given: Mapping[str, Any], tokenizer: Tokenizer, max_tokens: int) -> Asked:
    """What is asked for. Raises Problem, or what the library raises, on anything that is not right."""
    for name in given:
        if name not in KNOWN:
            raise Problem(unknown("parameter", name, KNOWN).replace("`", "'"), param=name)
    told = {name: value for name, value in given.items() if value is not None}
    for name, taken in NEUTRAL.items():
        if given.get(name) not in (*taken, given.get("n") if name == "best_of" else None):
            raise Problem(f"'{name}' is not supported: leave it out", param=name)
    fields = Fields(**{name: value for name, value in told.items() if name in Fields.__dataclass_fields__})
    if fields.max_tokens > max_tokens:
        raise Problem(f"'max_tokens' must be at most {max_tokens:,}", param="max_tokens")
    prompts, begins = _prompts(fields.prompt, tokenizer)
    if len(prompts) * fields.n > MOST_CHOICES:
        raise Problem(f"prompts times 'n' must be at most {MOST_CHOICES:,}", param="n")
    size, told_of = sum(map(len, prompts)), 0 if fields.logprobs is None else fields.logprobs + 1
    if fields.n * size > MOST_NUMBERS:
        raise Problem("'n' times so long prompts is too much: ask for fewer at a time", param="n")
    if fields.n * (size + fields.max_tokens * len(prompts)) * told_of > MOST_NUMBERS:
        raise Problem("'logprobs' of so many tokens are too many: ask for fewer at a time", param="logprobs")
    seed = draw_seed() if fields.seed is None else fields.seed
    return Asked(prompts, begins, fields, _sampling(told, fields), seed, _usage(fields))


def _sampling(told: Mapping[str, Any], fields: Fields) -> SampleConfig:
    """How texts are drawn: at temperature 1, unless told."""
    options = {name: told[name] for name in SAMPLING if name in told and OFF.get(name) != told[name]}
    for name, value in options.items():
        number = not tuple_of(SampleConfig.__dataclass_fields__[name])
        if number and not isinstance(value, int | float):
            raise Problem(f"'{name}' must be a number, not {shown(value)}", param=name)
    stop = [fields.stop] if isinstance(fields.stop, str) else fields.stop or []
    if not isinstance(stop, list) or len(stop) > MOST_STOPS or not all(isinstance(each, str) for each in stop):
        raise Problem(f"'stop' must be a text, or up to {MOST_STOPS} of them", param="stop")
    stops = {"stop": tuple(filter(None, stop))} if any(stop) else {}
    refuse("Writer.stream", options | stops)
    return SampleConfig.of(**{"temperature": 1.0, **options, **stops})


def _usage(fields: Fields) -> bool:
    options = fields.stream_options or {}
    if not isinstance(options, dict) or options.keys() - {"include_usage"}:
        raise Problem("'stream_options' may hold 'include_usage' alone", param="stream_options")
    return fields.stream and options.get("include_usage") is True


def _prompts(prompt: object, tokenizer: Tokenizer) -> tuple[list[list[int]], bool]:
    """Each prompt's ids, and whether they came with the start of a text in front."""
    several = prompt if isinstance(prompt, list) and prompt and not _is_id(prompt[0]) else [prompt]
    if all(isinstance(one, str) for one in several):
        return [tokenizer.encode(str(one)).tolist() for one in several], False
    found, begin = [], []
    for one in several:
        if not isinstance(one, list) or not all(map(_is_id, one)):
            raise Problem("'prompt' must be a text, token ids, or a list of either", param="prompt")
        begin.append(one[:1] == [tokenizer.size])
        ids = one[1:] if begin[-1] else one
        if not all(0 <= each < tokenizer.size for each in ids):
            raise Problem(
                f"token ids must be from 0 to {tokenizer.size - 1:,}, behind {tokenizer.size:,} for the start, if any",
                param="prompt",
            )
        found.append(ids)
    if len(set(begin)) > 1:
        raise Problem("either all prompts begin with the start's token or none", param="prompt")
    return found, begin[0]


def _is_id(one: object) -> bool:
    return isinstance(one, int) and not isinstance(one, bool)


def ids_of(tokenizer: Tokenizer, text: object) -> list[int]:
    """The ids of a text; that of the start where it is `BORDER`. Raises Problem, and VocabularyError."""
    if not isinstance(text, str):
        raise Problem("'prompt' must be a text", param="prompt")
    return [tokenizer.size] if text == BORDER else tokenizer.encode(text).tolist()


def text_of(tokenizer: Tokenizer, tokens: object) -> str:
    """The text of some ids, borders among them. Raises Problem."""
    known = isinstance(tokens, list) and all(_is_id(one) and 0 <= one <= tokenizer.size for one in tokens)
    if not isinstance(tokens, list) or not known:
        raise Problem(f"'tokens' must be ids from 0 to {tokenizer.size:,}", param="tokens")
    text, begin = "", 0
    for place in [*(place for place, one in enumerate(tokens) if one == tokenizer.size), len(tokens)]:
        text += tokenizer.decode(tokens[begin:place]) + BORDER * (place < len(tokens))
        begin = place + 1
    return text


def unending(config: SampleConfig) -> SampleConfig:
    """The same for rows that end by their tokens: no count of characters ends them."""
    return replace(config, length=10**12)
