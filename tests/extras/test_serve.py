"""The server against its real clients: OpenAI's for Python, and lm-evaluation-harness's `local-completions`."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn.api import load
from tests.conftest import command
from tests.extras.test_harness import _offline, evaluated, pairs_task

__all__ = ["_offline"]
pytestmark = pytest.mark.filterwarnings("default")
PAGE = (Path(__file__).parents[2] / "docs/serve.md").read_text("utf-8")


@pytest.fixture(scope="module")
def place(trained: Path) -> Iterator[str]:
    """Where the model `small` is served."""
    with command("serve", "small", "lines", "--checkpoints", str(trained), "--port", "0", cwd=trained) as server:
        assert server.stderr is not None
        begun = next(line for line in map(bytes.decode, server.stderr) if "listening at" in line)
        yield begun.split("listening at ")[1].split("/v1")[0]
        server.terminate()


def test_openais_client_writes_what_sample_does(place: str, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import openai

    model = load(trained / "small")
    client = openai.OpenAI(base_url=f"{place}/v1", api_key="none")
    assert [each.id for each in client.models.list()] == ["small", "lines"]
    streams = client.completions.create(
        model="small", prompt="The ", max_tokens=300, seed=5, n=2, stream=True, extra_body={"top_k": 5}
    )
    texts = ["", ""]
    for piece in streams:
        texts[piece.choices[0].index] += piece.choices[0].text
    assert texts == model.sample("The ", rows=2, seed=5, top_k=5, temperature=1.0, length=300, precision="int8")
    with pytest.raises(openai.BadRequestError, match="'temperature' must be at least 0"):
        client.completions.create(model="small", prompt="The ", temperature=-1)
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="none", prompt="The ")
    (shown,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(shown.replace("http://127.0.0.1:8000", place).replace("fables", "small"), {})
    wanted = model.sample("The heron", rows=3, seed=7, temperature=1.0, length=80, precision="int8")
    assert capsys.readouterr().out == "\n---\n".join(wanted) + "\n"


@pytest.mark.parametrize("together", [1, 4])
def test_the_harness_finds_the_same_as_without_a_server(
    place: str, trained: Path, tmp_path: Path, together: int
) -> None:
    import lm_eval.models  # noqa: F401

    text = {"text": "The heron stood in the water.\nThe fox ran.\n"}
    (tmp_path / "texts.jsonl").write_text(json.dumps(text) + "\n", "utf-8")
    rolling = {
        "task": "texts", "dataset_path": "json", "test_split": "test", "output_type": "loglikelihood_rolling",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "texts.jsonl")}, "cache_dir": str(tmp_path / "cache")},
        "doc_to_text": "", "doc_to_target": "{{text}}", "metric_list": [{"metric": "bits_per_byte"}],
    }  # fmt: skip
    local = {"model": "small", "base_url": f"{place}/v1/completions", "num_concurrent": together, "max_length": 4096}
    ours: dict[str, Any] = {"model": "small", "checkpoints": str(trained)}
    for task in (pairs_task(tmp_path, ""), rolling):
        served = evaluated(tmp_path, task, model="local-completions", model_args=local, batch_size=4)
        direct = evaluated(tmp_path, task, model="charrnn", model_args=ours)
        figures = [name for name, value in direct.items() if isinstance(value, float)]
        assert figures and [served[name] for name in figures] == pytest.approx(
            [direct[name] for name in figures], rel=1e-6
        )
