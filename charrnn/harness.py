"""charrnn models in lm-evaluation-harness (EleutherAI), an extra: `pip install 'charrnn[harness]'`.

    import charrnn.harness

    lm_eval.simple_evaluate(model="charrnn", model_args="model=NAME", tasks=[...])

Versions of the harness that read the entry points of the group `lm_eval.models` find it by its name, without the
import; on the command line of any other:

    python -c "import charrnn.harness; from lm_eval.__main__ import cli_evaluate as run; run()" run --model charrnn …

What is computed is in `scoring/continuations.py`.
"""

from collections.abc import Sequence
from typing import Any, Self

from lm_eval.api.model import LM
from lm_eval.api.registry import MODEL_REGISTRY, register_model
from lm_eval.utils import simple_parse_args_string

from charrnn.api import load
from charrnn.config import require

# As long as the harness lets a model write that is told nothing else.
LENGTH = 256


class CharrnnLM(LM):  # type: ignore[misc, unused-ignore]
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
        # Run names may be numbers, as which the harness reads them. No batch is too large: none is looked for.
        self.model = load(
            None if model is None else str(model), checkpoints=checkpoints, device=_there(device), threads=threads
        )
        self.options: dict[str, Any] = {"unknown": unk}
        if str(batch_size).isdecimal():
            self.options["batch_size"] = int(str(batch_size))

    @classmethod
    def create_from_arg_obj(cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None) -> Self:
        """What `model_args` say comes before what the harness has for all models."""
        return cls(**{**(additional_config or {}), **arg_dict})

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: dict[str, Any] | None = None) -> Self:
        """The same of 'model=NAME,checkpoints=FOLDER,batch_size=64'."""
        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Of each (context, continuation): log p(continuation | context) in nats, and whether greedy text is that."""
        from charrnn.scoring.continuations import continuations

        asked = [(str(context), str(continuation)) for context, continuation in map(_arguments, requests)]
        return continuations(self.model.predictor, self.model.tokenizer, asked, **self.options)

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """log p of each whole text in nats, as `charrnn eval` scores it."""
        from charrnn.scoring.continuations import whole_texts

        texts = [str(text) for (text,) in map(_arguments, requests)]
        model = self.model
        found = whole_texts(model.predictor, model.tokenizer, texts, documents=model.documents, **self.options)
        return [float(each) for each in found]

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """A text after each context, until a stop string; the likeliest unless `temperature` says otherwise.

        `max_gen_toks` counts characters, as `length` does; options of `Model.sample` are taken by their names.
        """
        asked = map(_arguments, requests)
        return [str(self.model.sample(context, seed=0, **_sampling(told))) for context, told in asked]


def _there(device: str | None) -> str:
    """The harness names cuda:0 where its user names none, whether there is one or not."""
    import torch

    absent = device is None or (device.startswith("cuda") and not torch.cuda.is_available())
    return "cpu" if absent else str(device)


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


# Where an entry point led here, the name is known already.
if "charrnn" not in MODEL_REGISTRY:
    register_model("charrnn")(CharrnnLM)
