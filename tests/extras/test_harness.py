"""The adapter in the real lm-evaluation-harness, offline: `pytest tests/extras`, with the extra `harness` installed."""

import json
from pathlib import Path
from typing import Any

import pytest

from charrnn.api import load
from charrnn.errors import CharrnnError
from tests.conftest import CommandLine

FOLDER = Path(__file__).parents[2] / "docs/pairs"
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module", autouse=True)
def _offline() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE"):
            patch.setenv(name, "1")
        yield


def evaluated(folder: Path, task: dict[str, Any], model: str = "charrnn", **told: Any) -> dict[str, Any]:
    """The results of a task, which is written beside its data, by the harness itself."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    import charrnn.harness  # noqa: F401

    (folder / "task.yaml").write_text(json.dumps(task), encoding="utf-8")  # JSON is YAML
    tasks = TaskManager(include_path=str(folder), include_defaults=False)
    found = lm_eval.simple_evaluate(model=model, tasks=[task["task"]], task_manager=tasks, bootstrap_iters=0, **told)
    assert found is not None
    results: dict[str, Any] = found["results"][task["task"]]
    return results


def pairs_task(folder: Path, ending: str) -> dict[str, Any]:
    """The task of docs/pairs, with another end of its sentences."""
    import yaml

    task: dict[str, Any] = yaml.safe_load((FOLDER / "sentences.yaml").read_text(encoding="utf-8"))
    task["dataset_kwargs"]["data_files"]["test"] = str(FOLDER / "sentences.jsonl")
    task["dataset_kwargs"]["cache_dir"] = str(folder / "cache")
    if not ending:
        task["doc_to_choice"] = "{{[sentence_good, sentence_bad]}}"
    return task


@pytest.mark.parametrize(("model", "ending"), [("small", "\n"), ("small", ""), ("lines", "")])
def test_the_harness_and_eval_agree_on_the_accuracy(
    charrnn: CommandLine, trained: Path, tmp_path: Path, model: str, ending: str
) -> None:
    arguments = f"model={model},checkpoints={trained},batch_size=3,unk=True"
    results = evaluated(tmp_path, pairs_task(tmp_path, ending), model_args=arguments)
    line = [
        "eval",
        "-q",
        "-m",
        model,
        "--checkpoints",
        str(trained),
        "--unk",
        "--pairs",
        str(FOLDER / "sentences.jsonl"),
    ]
    assert results["acc,none"] == float(charrnn(*line, *([] if ending else ["--no-end"])).out)
    assert results["sample_len"] == 10


def test_rolling_log_likelihoods_are_those_of_eval(trained: Path, tmp_path: Path) -> None:
    texts = ["The heron stood in the water.\nThe fox ran.\n", "The miller slept."]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    task = {
        "task": "texts", "dataset_path": "json", "test_split": "test", "output_type": "loglikelihood_rolling",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "texts.jsonl")}, "cache_dir": str(tmp_path / "cache")},
        "doc_to_text": "", "doc_to_target": "{{text}}",
        "metric_list": [{"metric": "bits_per_byte"}, {"metric": "byte_perplexity"}],
    }  # fmt: skip
    results = evaluated(tmp_path, task, model_args={"model": "small", "checkpoints": str(trained), "unk": True})
    scores = [load(trained / "small").score(text, unknown=True) for text in texts]
    bits = sum(score.nats for score in scores) / sum(len(text.encode()) for text in texts) / 0.6931471805599453
    assert results["bits_per_byte,none"] == pytest.approx(bits, rel=1e-6)


def test_texts_are_written_until_a_stop_string(trained: Path, tmp_path: Path) -> None:
    model = load(trained / "small")
    likeliest = model.sample("The ", temperature=0.0, length=12)
    assert isinstance(likeliest, str)
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "The ", "target": likeliest}) + "\n", "utf-8")
    task = {
        "task": "written", "dataset_path": "json", "test_split": "test", "output_type": "generate_until",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "texts.jsonl")}, "cache_dir": str(tmp_path / "cache")},
        "doc_to_text": "{{text}}", "doc_to_target": "{{target}}",
        "generation_kwargs": {"until": ["@@@"], "max_gen_toks": 12, "do_sample": False, "temperature": 0.0},
        "metric_list": [{"metric": "exact_match"}],
    }  # fmt: skip
    told = {"model_args": f"model=small,checkpoints={trained}"}
    assert evaluated(tmp_path, task, **told)["exact_match,none"] == 1
    task["generation_kwargs"] = {"until": [likeliest[4]], "max_gen_toks": 12}
    assert evaluated(tmp_path, task, **told)["exact_match,none"] == 0


def test_answers_by_hand(trained: Path) -> None:
    """Each kind of request, as the harness puts them."""
    from lm_eval.api.instance import Instance

    from charrnn.harness import CharrnnLM

    model = CharrnnLM.create_from_arg_string(
        f"model=small,checkpoints={trained}", {"batch_size": 2, "device": "cuda:0"}
    )

    def asked(kind: Any, *arguments: Any) -> list[Any]:
        return [Instance(request_type=kind, doc={}, arguments=each, idx=0) for each in arguments]

    [(likely, greedy)] = model.loglikelihood(asked("loglikelihood", ("The heron", " stood")))
    whole, context = model.loglikelihood_rolling(asked("loglikelihood_rolling", ("The heron stood",), ("The heron",)))
    assert likely == pytest.approx(whole - context, rel=1e-5) and isinstance(greedy, bool)
    first = model.generate_until(asked("generate_until", ("The ", {"until": "\n", "max_gen_toks": 20})))
    sampled = model.generate_until(
        asked("generate_until", ("The ", {"until": [], "max_gen_toks": 20, "do_sample": True, "temperature": 1.0}))
    )
    assert len(first[0]) <= 20 and len(sampled[0]) == 20 and first != sampled
    with pytest.raises(CharrnnError, match="num_beams"):
        model.generate_until(asked("generate_until", ("The ", {"until": "\n", "num_beams": 4})))
    with pytest.raises(CharrnnError, match="batch_size"):
        CharrnnLM(str(trained / "small"), batch_size="many")
