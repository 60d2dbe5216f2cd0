"""A model card, as Hugging Face reads it: what was measured, what is known of the training text, how it is loaded."""

from pathlib import PurePath
from typing import Any

from charrnn import __version__
from charrnn.export.trained import Trained, figures, measured_on, per
from charrnn.schema import to_json_text

LOADING = """\
## How to load it

```sh
pip install charrnn
charrnn sample -m {folder} --temp 0.8
```

```python
import charrnn

model = charrnn.load("{folder}")
print(model.sample("Once", temperature=0.8, length=300))
print(model.score("Once upon a time"))
```

`model.safetensors` is charrnn's own file: it holds the tokenizer and everything below by itself, and nothing in it is
ever run. Its tensors are those of the network, under `model.`, in torch's names and layout{counts}:

{tensors}

Without charrnn: `safetensors.numpy.load_file("model.safetensors")`. `config.json` says what the network is, and
`tokenizer.json` what each id stands for, as a text or as one byte; it is no file of the tokenizers library. Id `start`
is the context of a first token{end}. `charrnn export --format npz` writes the formulas, and a program in NumPy.
"""


def model_card(model: Trained, folder: str) -> str:
    """README.md of a folder."""
    summary, config = model.header.summary, model.config
    text = [
        _front_matter(model),
        f"# {model.name}",
        f"A recurrent language model, {config.size}{config.manner}, embedding {config.embedding}: it reads and writes "
        f"{model.tokenizer.size:,} {model.tokenizer.unit}, has {model.header.parameters:,} weights, and was trained "
        f"with charrnn {model.header.written_by or __version__}.",
        "It goes on from a text in the manner of what it was trained on, and says how likely any text is. It knows "
        "nothing of whether what it writes is true, and was not taught to answer.",
        "## How good it is",
        _measured(model),
        "## What it was trained on",
        _learned_from(summary),
        "Not known to charrnn, and for you to say: the language, the authors, the licence, and what the text holds "
        "that ought not to be said again. A model can write passages of its training text by heart: "
        "`charrnn inspect novelty` measures it, `charrnn sample --max-copy 20` forbids it, where the text is at hand.",
        LOADING.format(
            folder=folder,
            counts=", and those of the counts beside it, under `counts.`" if model.counts else "",
            tensors="\n".join(
                f"- `model.{name}` {' x '.join(map(str, weight.shape))}" for name, weight in model.weights.items()
            ),
            end=", and the end of a document" if config.documents else "",
        ),
    ]
    return "\n\n".join(text)


def _front_matter(model: Trained) -> str:
    """What the hub reads: values are JSON, which is YAML."""
    tags = ["charrnn", "recurrent-neural-network", model.config.cell, "language-model"]
    metrics: list[dict[str, Any]] = [
        {"type": per(model).replace(" ", "_"), "name": f"{per(model)}, {name}", "value": round(value, 4)}
        for name, value in _named_figures(model)
    ]
    result = {
        "task": {"type": "text-generation"},
        "dataset": {
            "name": f"{measured_on(model)} of {', '.join(_sources(model.header.summary)) or 'unknown'}",
            "type": "text",
        },
        "metrics": metrics,
    }
    lines = [
        "---",
        "license: unknown  # charrnn cannot know it: say it before you publish this, the training text's with it",
        "# language: charrnn does not know it; as in: [en]",
        "library_name: charrnn",
        "pipeline_tag: text-generation",
        f"tags: {to_json_text(tags)}",
    ]
    if metrics:
        lines += ["model-index:", f"- name: {to_json_text(model.name)}", f"  results: {to_json_text([result])}"]
    return "\n".join([*lines, "---"])


def _named_figures(model: Trained) -> list[tuple[str, float]]:
    known = figures(model)
    names = {"counts": "network and counts", "network": "network alone" if "counts" in known else "network"}
    return [(name, known[key]) for key, name in names.items() if key in known]


def _measured(model: Trained) -> str:
    found = _named_figures(model)
    if not found:
        return "Nothing was measured."
    rows = [f"| {name} | {value:.4f} |" for name, value in found]
    lost = model.header.summary.get("int8_bpc")
    if lost is not None:
        rows.append(f"| what weights of 8 bits add | {lost:+.5f} |")
    where = measured_on(model)
    said = (
        "a part of the corpus that was held out, by which the best state of the network was chosen: another text of "
        "the same kind may cost a little more"
        if where == "held-out text"
        else "the text that it was trained on, for nothing was held out: of any other text this says nothing"
    )
    return "\n".join([f"On {said}.", "", f"| | {per(model)} |", "|---|---|", *rows])


def _learned_from(summary: dict[str, Any]) -> str:
    facts = {
        "text": ", ".join(f"`{name}`" for name in _sources(summary)),
        "SHA-256": summary.get("sha256"),
        "size": _of(summary, "train_tokens", "{:,} tokens to learn from"),
        "read as": "one stream" if summary.get("documents") == "stream" else summary.get("documents"),
        "training": _of(summary, "step", "{:,} steps") + _of(summary, "epoch", ", {:.2f} passes over the text")
        + _of(summary, "seconds", ", {:,.0f} s"),
    }  # fmt: skip
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)


def _of(summary: dict[str, Any], name: str, form: str) -> str:
    value = summary.get(name)
    return "" if value is None else form.format(value)


def _sources(summary: dict[str, Any]) -> list[str]:
    """The names of the files, and not where they lie on somebody's machine."""
    return [PurePath(source).name for source in summary.get("corpus", ())]
