"""charrnn inspect"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli import counts, gradients, memory, neurons, novelty
from charrnn.cli import options as opt
from charrnn.cli.together import Command, Group
from charrnn.config import require
from charrnn.console import show_record, sparkline, write
from charrnn.schema import to_json_text

if TYPE_CHECKING:
    from charrnn.storage.header import CountsSummary

EXAMPLES = """Examples:

    charrnn inspect

    charrnn inspect -m fables --json | jq .model

    charrnn inspect -m fables --digest
"""


def inspect(
    context: typer.Context,
    model: opt.Model = None,
    checkpoints: opt.Checkpoints = None,
    digest: Annotated[
        bool,
        opt.option(
            "Output", "One number for weights, network and tokenizer: equal for models that are equal.", "--digest"
        ),
    ] = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Everything that a checkpoint knows of itself, from its header alone; by its commands, what goes on inside."""
    if context.invoked_subcommand is not None:
        require(
            not any(opt.typed(context, name) for name in context.params),
            f"options stand behind the command: charrnn inspect {context.invoked_subcommand} …",
        )
        return
    from charrnn.models.cells import CELLS
    from charrnn.models.cells.base import INITIALIZERS
    from charrnn.storage import runs
    from charrnn.storage.checkpoint import read_header, tokenizer_of

    folder = runs.checkpoints_folder(checkpoints)
    path = runs.model_file(folder, model)
    if digest and not as_json:
        write(f"{_digest(path)}\n")
        return
    header = read_header(path)
    tokenizer = tokenizer_of(header)
    validations = [event for event in runs.Run(path.parent).read_metrics() if "valid_bpc" in event]
    summary = header.summary
    config = summary.pop("config", {})
    record: dict[str, Any] = {
        "file": str(path),
        "bytes": header.bytes,
        "format": header.metadata["format"],
        **({"digest": _digest(path)} if digest or as_json else {}),
        "saved": header.metadata.get("saved"),
        "versions": header.versions,
        "parameters": header.parameters,
        "model": header.config.to_json(),
        "weights": {
            name: {"axes": list(weight.axes), "init": weight.init}
            for name, weight in CELLS[header.config.cell].table().items()
        },
        "tokenizer": {"kind": tokenizer.kind, "size": tokenizer.size},
        "vocabulary": [tokenizer.symbol(token) for token in range(tokenizer.size)],
        "training": summary,
        "options": config,
        "valid_bpc": [event["valid_bpc"] for event in validations],
    }
    if as_json:
        write(to_json_text(record) + "\n")
        return
    network = header.config
    cell = CELLS[network.cell]
    show_record(
        str(path),
        {
            "network": f"{network.size}, embedding {network.embedding}, "
            f"{header.parameters:,} parameters, dropout {network.dropout or 'none'}{network.manner}",
            "weights": "\n".join(
                f"{name} ({', '.join(weight.axes)}): {INITIALIZERS[weight.init]}"
                + (f", times {cell.spectral_radius:g}" if weight.recurrent and cell.spectral_radius != 1 else "")
                for name, weight in cell.table().items()
            ),
            "tokenizer": f"{tokenizer.kind}, {tokenizer.size:,} symbols",
            "vocabulary": _shorten(" ".join(_visible(symbol) for symbol in record["vocabulary"])),
            "corpus": f"{' '.join(summary.get('corpus', []))}, {summary.get('train_tokens', 0):,} tokens to learn "
            f"from, documents: {summary.get('documents')}",
            "sha256": summary.get("sha256"),
            "trained": f"{summary.get('step', 0):,} steps, {summary.get('epoch', 0):.2f} epochs, "
            f"{summary.get('tokens', 0):,} tokens, {summary.get('seconds', 0):.0f} s",
            "loss": _loss(summary),
            "history": _history([event["valid_loss"] for event in validations]),
            "in 8 bits": _cost_of_8_bits(summary),
            "counts": _counts(header.counts),
            "options": ", ".join(f"{name} {value}" for name, value in config.items() if value is not None),
            "versions": ", ".join(f"{name} {value}" for name, value in record["versions"].items()),
            "saved": f"{record['saved']}, {header.bytes:,} bytes, format {record['format']}",
        },
    )


inspect_app = typer.Typer(
    cls=Group, invoke_without_command=True, callback=inspect, epilog=EXAMPLES, rich_markup_mode="markdown"
)
inspect_app.command("counts", cls=Command, epilog=counts.EXAMPLES)(counts.counts)
inspect_app.command("gradients", cls=Command, epilog=gradients.EXAMPLES)(gradients.gradients)
inspect_app.command("memory", cls=Command, epilog=memory.EXAMPLES)(memory.memory)
inspect_app.command("neurons", cls=Command, epilog=neurons.EXAMPLES)(neurons.neurons)
inspect_app.command("novelty", cls=Command, epilog=novelty.EXAMPLES)(novelty.novelty)


def _digest(path: Path) -> str:
    from charrnn.storage.checkpoint import read_counts, read_model
    from charrnn.storage.digest import digest

    header, weights, tokenizer = read_model(path)
    return digest(header.config, tokenizer, weights, read_counts(header))


def _visible(symbol: str) -> str:
    return symbol if symbol.isprintable() and not symbol.isspace() else ascii(symbol)[1:-1]


def _shorten(text: str, width: int = 400) -> str:
    return text if len(text) <= width else f"{text[:width]} …"


def _loss(summary: dict[str, Any]) -> str:
    loss = summary.get("loss")
    if loss is None:
        return "not measured"
    return f"{loss:.4f} nats per token, {'validation' if summary.get('validated') else 'training'}"


def _cost_of_8_bits(summary: dict[str, Any]) -> str:
    lost = summary.get("int8_bpc")
    return "not measured" if lost is None else f"{lost:+.5f} bits per character"


def _counts(counts: "CountsSummary | None") -> str:
    """What stands beside the network, and what it brings."""
    if counts is None:
        return "none"
    made = f"of {counts.tokens:,} tokens, {counts.bytes / 1e6:.1f} MB"
    if counts.loss is None or counts.alone is None:
        return f"{made}, mixed by fixed weights"
    return f"{made}: {counts.loss:.4f} nats per token, {counts.alone:.4f} by the network alone, validation"


def _history(values: list[float]) -> str:
    """The loss at each validation, as bars, with the first and the least in figures."""
    return f"{sparkline(values)}  {values[0]:.4f} to {min(values):.4f} nats per token" if values else "none"
