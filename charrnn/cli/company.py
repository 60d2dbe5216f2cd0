"""Commands that work long enough for other programs to come and go."""

import typer

from charrnn.console import say


def give_way(context: typer.Context, device: str, threads: int | None, *, tune: bool = True) -> None:
    """Choose the threads for scoring on this device; until the command ends, its steps give way to company."""
    from charrnn.machine import choose
    from charrnn.machine.threads import AdaptiveThreads, giving_way

    machine = choose(device, "fp32", threads, tune=tune)
    context.with_resource(giving_way(AdaptiveThreads(machine), say))
