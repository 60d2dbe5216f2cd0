"""charrnn models in lm-evaluation-harness (EleutherAI), an extra: `pip install 'charrnn[harness]'`.

    lm-eval run --model charrnn --model_args model=NAME --tasks pairs --include_path FOLDER

Versions of the harness that read the entry points `lm_eval.models` find it by its name; for any other, write
`import charrnn.harness` before the harness is asked for the model. What is computed is in `scoring/continuations.py`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from charrnn.api import load
from charrnn.config import require

# As long as the harness lets a model write that is told nothing else.
LENGTH = 256


@register_model("charrnn")
class CharrnnLM(LM):
    """A charrnn model for the harness; without a `model`, the run trained last.

    `unk` scores characters that the vocabulary lacks at ln V nats each; without it, they are refused. `batch_size` is
    how many texts are read side by side. Raises what `charrnn.load` raises.
    """

    def __init__(
        self,
        model: str | None = None,
        checkpoints: str | None = None,
        *,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
        threads: int | None = None,
        unk: bool = False,
    ) -> None:
        super().__init__()
        require(
            batch_size is None or str(batch_size).isdecimal() or str(batch_size).startswith("auto"),
            f"`batch_size` must be a whole number, or auto, not {batch_size!r}",
        )
        # Run names may be numbers, as which the harness reads them. No batch is too large: there is none to look for.
        self.model = load(
            None if model is None else str(model), checkpoints=checkpoints, device=device or "cpu", threads=threads
        )
        self.options: dict[str, Any] = {"unknown": unk}
        if str(batch_size).isdecimal():
            self.options["batch_size"] = int(str(batch_size))

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Of each (context, continuation): log p(continuation | context) in nats, and whether greedy text is that."""
        from charrnn.scoring.continuations import continuations

        asked = [(str(context), str(continuation)) for context, continuation in map(_arguments, requests)]
        found = continuations(self.model.network, self.model.tokenizer, asked, **self.options)
        return self._kept("loglikelihood", requests, found)

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """log p of each whole text in nats, as `charrnn eval` scores it."""
        from charrnn.scoring.continuations import whole_texts

        texts = [str(text) for (text,) in map(_arguments, requests)]
        model = self.model
        found = whole_texts(model.network, model.tokenizer, texts, documents=model.documents, **self.options)
        return self._kept("loglikelihood_rolling", requests, found.tolist())

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """A text after each context, until a stop string; the likeliest unless `temperature` says otherwise.

        `max_gen_toks` counts characters, as `length` does; options of `Model.sample` are taken by their names.
        """
        found = [
            self.model.sample(str(context), seed=0, **_sampling(told)) for context, told in map(_arguments, requests)
        ]
        return self._kept("generate_until", requests, found)

    def _kept(self, name: str, requests: Iterable[Any], found: list[Any]) -> list[Any]:
        """The answers, which the harness keeps in its cache where it has one."""
        for request, answer in zip(requests, found, strict=True):
            self.cache_hook.add_partial(name, _arguments(request), answer)
        return found


def _arguments(request: Any) -> tuple[Any, ...]:
    """What a request asks about."""
    found: tuple[Any, ...] = request.args
    return found


def _sampling(told: dict[str, Any]) -> dict[str, Any]:
    """The harness's options of a generation as those of `Model.sample`."""
    options = {**told}
    stop = options.pop("until", ())
    length = options.pop("max_gen_toks", LENGTH)
    if not options.pop("do_sample", options.get("temperature", 0.0) > 0):
        options["temperature"] = 0.0
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    return {"stop": tuple(each for each in stops if each), "length": length, **options}
