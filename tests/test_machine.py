"""Device, number format and the machine's settings: what was asked for, or a choice that is said."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from charrnn import machine as precision
from charrnn.config import ModelConfig, TrainConfig
from charrnn.config.fields import setting
from charrnn.errors import ConfigError
from charrnn.machine import PRECISIONS, Machine, choose, pick_device, products_by_onednn
from charrnn.models.language_model import LanguageModel
from charrnn.training.mixed_precision import MixedPrecision


@pytest.fixture(autouse=True)
def matmul() -> Iterator[Any]:
    """Torch's setting for products by oneDNN, put back behind every test."""
    setting: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = setting.fp32_precision
    yield setting
    setting.fp32_precision = before


def test_what_is_asked_for_is_what_is_chosen() -> None:
    machine = choose("cpu", "bf16", 1, tune=False)
    assert machine == Machine(torch.device("cpu"), "bf16", 1, False)
    assert torch.get_num_threads() == 1


def test_what_is_left_open_is_chosen_by_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_bf16, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has_bf16: has)
        machine = choose("cpu", tune=False)
        assert machine.precision == expected
        assert machine.threads == precision.cores()


def test_what_the_machine_lacks_is_refused() -> None:
    lacking: list[tuple[dict[str, Any], str]] = [
        ({"precision": "fp8"}, "fp32, bf16 or fp16, not 'fp8'"),
        ({"device": "cpu", "precision": "fp16"}, "fp16 trains on a GPU"),
        ({"threads": 0}, "`threads` must be at least 1"),
        ({"device": "tpu"}, "no device tpu here: `device` cpu always works"),
    ]
    for arguments, words in lacking:
        with pytest.raises(ConfigError, match=words):
            choose(**arguments)


def test_a_processor_is_always_there() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_machine_says_what_it_computes_with() -> None:
    for machine, line in (
        (Machine(torch.device("cpu"), "fp32", 1), "cpu, 1 thread, fp32"),
        (Machine(torch.device("cpu"), "bf16", 4), "cpu, 4 threads, bf16 beside fp32 master weights"),
        (Machine(torch.device("cuda"), "fp16", 4), "cuda, fp16 beside fp32 master weights"),
        (
            Machine(torch.device("cpu"), "fp32", 2, settings=("freed memory kept", "products by oneDNN")),
            "cpu, 2 threads, fp32, freed memory kept, products by oneDNN",
        ),
    ):
        assert str(machine) == line


@pytest.mark.parametrize(("kept", "sent"), [(True, True), (True, False), (False, True)])
def test_settings_are_said_where_they_were_changed_and_left_alone_where_that_is_asked(
    monkeypatch: pytest.MonkeyPatch, kept: bool, sent: bool
) -> None:
    monkeypatch.setattr(precision, "keep_freed_memory", lambda: kept)
    monkeypatch.setattr(precision, "products_by_onednn", lambda: sent)
    expected = ["freed memory kept"] * kept + ["products by oneDNN"] * sent
    assert list(choose("cpu", "fp32", 1).settings) == expected

    def never() -> bool:
        raise AssertionError("a setting was changed")

    monkeypatch.setattr(precision, "keep_freed_memory", never)
    monkeypatch.setattr(precision, "products_by_onednn", never)
    assert choose("cpu", "fp32", 1, tune=False).settings == ()


def test_products_are_sent_to_onednn_only_where_they_stay_exact(monkeypatch: pytest.MonkeyPatch, matmul: Any) -> None:
    matmul.fp32_precision = "ieee"
    monkeypatch.setattr(precision, "_is_amd", lambda: False)
    assert not products_by_onednn()
    assert matmul.fp32_precision == "ieee"

    monkeypatch.setattr(precision, "_is_amd", lambda: True)
    product = torch.Tensor.__matmul__

    def rough(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        exact = product(one, other)
        return exact if exact.dtype == torch.float64 else exact.bfloat16().float()

    monkeypatch.setattr(torch.Tensor, "__matmul__", rough)
    assert not products_by_onednn()
    assert matmul.fp32_precision == "ieee"


def test_after_the_setting_products_are_as_exact_as_before() -> None:
    products_by_onednn()
    one, other = torch.randn(2, 300, 300, generator=torch.Generator().manual_seed(1))
    exact = one.double() @ other.double()
    assert float((one @ other - exact).abs().max() / exact.abs().max()) < 1e-5


def test_a_processor_is_amds_where_the_system_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, expected in (("vendor_id\t: AuthenticAMD\n", True), ("vendor_id\t: GenuineIntel\n", False)):
        monkeypatch.setattr(Path, "read_text", lambda *_, found=text, **__: found)
        assert precision._is_amd() is expected

    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert precision._is_amd() is False


def test_the_command_line_lists_formats_that_there_are() -> None:
    assert setting(TrainConfig.__dataclass_fields__["precision"]).choices == tuple(PRECISIONS)


def small() -> LanguageModel:
    model = LanguageModel(ModelConfig(vocab_size=4, start_id=4, embedding=3, hidden=5))
    model.initialise(torch.Generator().manual_seed(0))
    return model


def test_in_fp32_the_shadow_is_the_master_itself() -> None:
    master = small()
    assert MixedPrecision(master, "fp32").model is master


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_the_shadow_is_the_master_in_fewer_bits_and_hands_its_gradients_over_in_fp32(name: str) -> None:
    master, dtype = small(), PRECISIONS[name]
    shadow = MixedPrecision(master, name)
    with torch.no_grad():
        for number, parameter in enumerate(master.parameters()):
            parameter.fill_(number + 1 / 3)
    shadow.refresh()
    pairs = list(zip(master.parameters(), shadow.model.parameters(), strict=True))
    for one, other in pairs:
        assert (one.dtype, other.dtype) == (torch.float32, dtype)
        assert torch.equal(other, one.to(dtype))
        other.grad = torch.full_like(other, 0.1)
    shadow.hand_over_gradients()
    for one, other in pairs:
        assert one.grad is not None and one.grad.dtype == torch.float32
        assert torch.equal(one.grad, torch.full_like(one, float(torch.tensor(0.1, dtype=dtype))))
        assert other.grad is None


# -- how many processors ---------------------------------------------------------------------------------------------


def control_groups(tmp_path: Path, lines: str, files: dict[str, str]) -> list[float]:
    """The quotas of a system with these files."""
    (tmp_path / "cgroup").write_text(lines)
    for name, text in files.items():
        file = tmp_path / "fs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return sorted(precision._quotas(tmp_path / "cgroup", tmp_path / "fs"))


V1 = "9:name=systemd:/\n4:cpuacct,cpu:/a/b\n3:cpuset:/\n"


@pytest.mark.parametrize(
    ("lines", "files", "expected"),
    [
        ("0::/\n", {}, []),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, [1.5]),
        ("0::/\n", {"cpu.max": "max 100000\n"}, []),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "100000 100000\n"}, [1.0]),
        ("0::/a/b\n", {"a/b/cpu.max": "300000 100000\n", "a/cpu.max": "100000 50000\n"}, [2.0, 3.0]),
        ("0::/../host\n", {"cpu.max": "50000 100000\n"}, [0.5]),  # the path of another namespace
        (V1, {"cpuacct,cpu/a/b/cpu.cfs_quota_us": "-1\n", "cpuacct,cpu/a/b/cpu.cfs_period_us": "100000\n"}, []),
        (V1, {"cpu/a/b/cpu.cfs_quota_us": "100000\n", "cpu/a/b/cpu.cfs_period_us": "100000\n"}, [1.0]),
        (V1, {"cpu/cpu.cfs_quota_us": "20000\n", "cpu/cpu.cfs_period_us": "10000\n"}, [2.0]),  # a container's own top
        (V1, {"cpuset/cpu.cfs_quota_us": "20000\n", "cpuset/cpu.cfs_period_us": "10000\n"}, []),
        ("nonsense\n0::/\n", {"cpu.max": "nonsense\n"}, []),
    ],
)
def test_every_limit_of_a_control_group_is_found(
    tmp_path: Path, lines: str, files: dict[str, str], expected: list[float]
) -> None:
    assert control_groups(tmp_path, lines, files) == expected


def test_a_quota_counts_as_well_as_the_processors_that_a_program_may_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    for quotas, expected in (([], 4), ([8.0], 4), ([2.0, 3.0], 2), ([1.5], 2), ([1.0], 1), ([0.2], 1)):
        monkeypatch.setattr(precision, "_quotas", lambda found=quotas: iter(found))
        assert precision.cores() == expected
        assert choose("cpu", "fp32", tune=False).threads == expected
    assert precision._read(Path("/there/is/no/such/file")) == ""


def test_threads_that_are_given_are_kept_and_others_may_change() -> None:
    assert choose("cpu", "fp32", tune=False).adaptive
    assert not choose("cpu", "fp32", 2, tune=False).adaptive
    assert choose("cpu", "fp32", 2, tune=False, adaptive=True).adaptive
