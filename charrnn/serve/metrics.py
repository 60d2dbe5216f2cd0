"""What a server has done, as Prometheus reads it."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator

# name -> (kind, help)
NAMES = {
    "requests": ("counter", "Answers by their status."),
    "prompt_tokens": ("counter", "Tokens of prompts that were read."),
    "cached_tokens": ("counter", "Tokens of prompts whose states were known."),
    "tokens": ("counter", "Tokens that were written."),
    "rows": ("gauge", "Texts under way."),
    "waiting": ("gauge", "Texts that wait."),
    "first_seconds": ("histogram", "Seconds from a request to its first text."),
}
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Numbers by their names and labels; `of` gives those of one model, kept here too."""

    def __init__(self, labels: str = "", shared: "Metrics | None" = None) -> None:
        self._labels = labels
        self._values: dict[tuple[str, str], float] = shared._values if shared else defaultdict(float)
        self._lock: threading.Lock = shared._lock if shared else threading.Lock()

    def of(self, model: str) -> "Metrics":
        """The same with this model's label."""
        return Metrics(f'model="{_escaped(model)}"', self)

    def add(self, name: str, amount: float = 1, label: str = "") -> None:
        """So much more of it."""
        with self._lock:
            self._values[name, label or self._labels] += amount

    def set(self, name: str, value: float) -> None:
        """So much it is now."""
        with self._lock:
            self._values[name, self._labels] = value

    def observe(self, name: str, value: float) -> None:
        """One more of a distribution."""
        own = f"{self._labels}," if self._labels else ""
        for bound in BOUNDS:
            self.add(f"{name}_bucket", float(value <= bound), f'{own}le="{bound:g}"')
        self.add(f"{name}_bucket", 1, f'{own}le="+Inf"')
        self.add(f"{name}_sum", value)
        self.add(f"{name}_count")

    def text(self) -> str:
        """All of them in the text format 0.0.4."""
        return "".join(self._lines())

    def _lines(self) -> Iterator[str]:
        with self._lock:
            values = dict(self._values)
        for name, (kind, words) in NAMES.items():
            suffix = "_total" if kind == "counter" else ""
            yield f"# HELP charrnn_{name}{suffix} {words}\n# TYPE charrnn_{name}{suffix} {kind}\n"
            parts = [f"{name}_bucket", f"{name}_sum", f"{name}_count"] if kind == "histogram" else [name]
            for part in parts:
                for (own, labels), value in values.items():
                    if own == part:
                        yield f"charrnn_{part}{suffix}{f'{{{labels}}}' if labels else ''} {value:.15g}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """So far."""
        return time.perf_counter() - self._began
