"""charrnn models in llm (Willison 2023), an extra: pip install 'charrnn[llm]'.

    llm -m charrnn/fables "The heron" -o temperature 0.7 -o max_tokens 300

Every run in ./checkpoints, or in CHARRNN_CHECKPOINTS, is a model. A text is what `charrnn sample` writes with its seed,
which `llm logs --json` has; what is said in a conversation goes on from all that was said in it before.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import llm
from pydantic import Field

from charrnn.config import draw_seed
from charrnn.config.fields import setting
from charrnn.generation.config import SampleConfig
from charrnn.storage.runs import Run, all_runs, checkpoints_folder


@llm.hookimpl  # type: ignore[untyped-decorator, unused-ignore]
def register_models(register: Callable[[Any], None]) -> None:
    """The runs there are, by their names."""
    for run in all_runs(checkpoints_folder()):
        register(CharrnnModel(run))


def _option(name: str) -> Any:
    return Field(default=None, description=setting(SampleConfig.__dataclass_fields__[name]).help)


class CharrnnModel(llm.Model):  # type: ignore[misc, unused-ignore]
    """One of them; it is read when it is first asked."""

    can_stream = True

    class Options(llm.Options):  # type: ignore[misc, unused-ignore]
        """Those of `charrnn sample`; left open, they are its own."""

        temperature: float | None = _option("temperature")
        max_tokens: int | None = _option("length")
        top_k: int | None = _option("top_k")
        top_p: float | None = _option("top_p")
        seed: int | None = Field(default=None, description="The same seed, the same text.")

    def __init__(self, run: Run) -> None:
        self.model_id = f"charrnn/{run.name}"
        self._run = run

    @cached_property
    def _model(self) -> Any:
        from charrnn.api import load

        return load(self._run.folder)

    def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> Iterator[str]:
        """The text that comes behind the prompt, as it comes."""
        if any(message.role == "system" for message in prompt.messages):
            raise llm.ModelError(f"{self.model_id} goes on from texts and takes no system prompt: leave it out")
        told = {name: value for name, value in prompt.options.model_dump().items() if value is not None}
        seed = told.pop("seed", None)
        seed = draw_seed() if seed is None else seed
        response.response_json = {"seed": seed}
        if "max_tokens" in told:
            told["length"] = told.pop("max_tokens")
        # All that was said in the conversation, the prompt at last.
        text = "".join(part.text for message in prompt.messages for part in message.parts)
        for chunk in self._model.stream(text, seed=seed, **told):
            yield chunk.text
