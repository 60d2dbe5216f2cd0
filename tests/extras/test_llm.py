"""The plugin in the real llm, by its entry point: `pytest tests/extras`, with the extra `llm` installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn import api


@pytest.fixture
def llm(trained: Path, tmp_path: Path) -> "Llm":
    return Llm(trained, tmp_path)


class Llm:
    """Its command line, with a folder of its own for logs."""

    def __init__(self, checkpoints: Path, folder: Path) -> None:
        self._environment = {**os.environ, "CHARRNN_CHECKPOINTS": str(checkpoints), "LLM_USER_PATH": str(folder)}

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, "-m", "llm", *arguments]
        return subprocess.run(line, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_a_prompt_goes_on_as_sample_does(llm: Llm, trained: Path) -> None:
    listed = llm("models", "list", "--options")
    assert "charrnn/small" in listed.stdout and "charrnn/lines" in listed.stdout, listed.stderr
    assert "max_tokens" in listed.stdout
    options = {"temperature": "0.7", "max_tokens": "40", "top_k": "20", "top_p": "0.9", "seed": "3"}
    told = [part for pair in options.items() for part in ("-o", *pair)]
    written = llm("-m", "charrnn/small", "The heron ", *told)
    model = api.load("small", checkpoints=trained)
    first = model.sample("The heron ", temperature=0.7, length=40, top_k=20, top_p=0.9, seed=3)
    assert written.stdout == f"{first}\n", written.stderr
    again = llm("-c", " and", "-o", "max_tokens", "20")
    (_, logged) = json.loads(llm("logs", "--json").stdout)
    seed = logged["response_json"]["seed"]
    assert again.stdout == f"{model.sample(f'The heron {first} and', length=20, seed=seed)}\n", again.stderr


def test_what_is_wrong_is_told_in_a_line(llm: Llm) -> None:
    for arguments, words in (
        (("-s", "be kind", "a"), "takes no system prompt"),
        (("a", "-o", "temperature", "-1"), "temperature"),
        (("日",), "the model's vocabulary has no"),
    ):
        failed = llm("-m", "charrnn/small", *arguments)
        assert failed.returncode and failed.stderr.startswith("Error: ") and words in failed.stderr, failed.stderr
        assert failed.stderr.count("\n") == 1
