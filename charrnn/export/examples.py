"""A program of some forty lines that writes with what was exported: by onnxruntime or NumPy, without charrnn."""

from importlib import resources
from string import Template

from charrnn.config import ModelConfig
from charrnn.export.source import cell_source, helpers_of, join_source
from charrnn.models.cells import CELLS
from charrnn.models.connections import DENSE, connection
from charrnn.text.tokenizers import Tokenizer

# How a kind of tokenizer encodes, and decodes.
ENCODE = {
    "char": "    return [PIECES.index(symbol) for symbol in text]",
    "byte": "    return list(text.encode())",
    "subword": """\
    ids = {piece: number for number, piece in enumerate(PIECES)}
    parts = [part for symbol in text for part in ([symbol] if symbol in ids else symbol.encode())]
    while True:  # the two neighbours that make the piece of the lowest id are joined, again and again
        joined = [a + b if isinstance(a, str) and isinstance(b, str) else None for a, b in zip(parts, parts[1:])]
        found = [(ids[piece], place) for place, piece in enumerate(joined) if piece in ids]
        if not found:
            return [ids[part] for part in parts]
        place = min(found)[1]
        parts[place : place + 2] = [joined[place]]""",
}
DECODE = {
    "char": '    return "".join(PIECES[number] for number in ids)',
    "byte": '    return bytes(ids).decode("utf-8", "replace")',
    "subword": """\
    pieces = [PIECES[number] for number in ids]
    found = b"".join(bytes([each]) if isinstance(each, int) else each.encode() for each in pieces)
    return found.decode("utf-8", "replace")""",
}
ONNX = """\
OPTIONS = onnxruntime.SessionOptions()
OPTIONS.intra_op_num_threads = 1  # one step of one text is too little to be shared
NETWORK = onnxruntime.InferenceSession(str(HERE / "model.onnx"), OPTIONS)
SIZES = {each.name: each.shape[1] for each in NETWORK.get_inputs()[1:]}


def first_states(rows):
    \"\"\"The memory of B rows before any text.\"\"\"
    return [np.zeros((rows, size), np.float32) for size in SIZES.values()]


def step(ids, states):
    \"\"\"Ids (B,), states (B, H) -> logits (B, V), states\"\"\"
    logits, *states = NETWORK.run(None, {"ids": np.array(ids, np.int64), **dict(zip(SIZES, states))})
    return logits, states

"""
NUMPY = """\
W = dict(np.load(HERE / "weights.npz"))
H, STATES = $hidden, $states  # units of a layer, states of all layers together


def first_states(rows):
    \"\"\"The memory of B rows before any text.\"\"\"
    return [np.zeros((rows, H), np.float32)] * STATES


def own(w, prefix):
    \"\"\"The weights whose names begin so, without that.\"\"\"
    return {name.removeprefix(prefix): weight for name, weight in w.items() if name.startswith(prefix)}


$helpers$cell

${join}def $network(ids, states$with_weights):
    \"\"\"Ids (B,), states (B, H) -> logits (B, V), states\"\"\"
    x, after$outputs = $w["embedding"][ids], []$empty
    for number in range($layers):
        layer = own($w, f"layers.{number}.")
        y, *_ = new = cell(x, *states[len(after) : len(after) + $parts], layer)
        after += new
        x = $joined
$keep    return $read @ $head.T + $w["bias"], after

"""
ENSEMBLE = """

def step(ids, states):
    \"\"\"The logarithm of the mean of what several networks hold likely.\"\"\"
    each, log_p, after = STATES // $networks, [], []
    for number in range($networks):
        logits, new = network(ids, states[number * each : (number + 1) * each], own(W, f"models.{number}."))
        log_p.append(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
        after += new
    return np.logaddexp.reduce(log_p, axis=0) - np.log(np.float32($networks)), after

"""


def onnx_example(name: str, tokenizer: Tokenizer) -> str:
    """The program beside a step model."""
    return _example(name, tokenizer, "onnxruntime numpy", "import numpy as np\nimport onnxruntime", ONNX)


def numpy_example(name: str, tokenizer: Tokenizer, config: ModelConfig) -> str:
    """The program beside weights: it has the network's formulas in NumPy."""
    formula, several = CELLS[config.cell], config.ensemble > 1
    cell = cell_source(formula, config.embedding, config.hidden)
    first, kind = connection(config.skip, 0), connection(config.skip, 1)
    plain = kind.plain and not config.norm
    # Nothing is added to what the first layer gives.
    join = "" if plain else join_source(kind, config.hidden, norm=config.norm)
    below = 'normalise(y, layer["gain"], layer["shift"])' if config.norm else "y"
    joined = "y" if plain else "join(y, x, layer)" if first is kind else f"join(y, x, layer) if number else {below}"
    dense, w = config.skip == DENSE, "w" if several else "W"
    network = Template(NUMPY).substitute(
        hidden=config.hidden,
        states=config.ensemble * config.layers * len(formula.state_names),
        parts=len(formula.state_names),
        layers=config.layers,
        helpers=helpers_of(cell + join + joined),
        cell=cell,
        join=f"{join}\n\n" if join else "",
        joined=joined,
        outputs=", outputs" if dense else "",
        empty=", []" if dense else "",
        keep="        outputs.append(x)\n" if dense else "",
        read="np.concatenate(outputs, axis=1)" if dense else "x",
        head=f'{w}["embedding"][:{config.vocab_size}]' if config.tie else f'{w}["head"]',
        network="network" if several else "step",
        with_weights=", w" if several else "",
        w=w,
    )
    if several:
        network = network.rstrip() + Template(ENSEMBLE).substitute(networks=config.ensemble)
    return _example(name, tokenizer, "numpy", "import numpy as np", network)


def _example(name: str, tokenizer: Tokenizer, packages: str, imports: str, network: str) -> str:
    template = resources.files("charrnn.export").joinpath("example.txt").read_text(encoding="utf-8")
    # A run's name may hold what ends a string of Python.
    shown = "".join(each for each in name if each.isprintable() and each not in '"\\')
    return Template(template).substitute(
        name=shown,
        packages=packages,
        imports=imports,
        network=network.rstrip("\n") + "\n",
        encode=ENCODE[tokenizer.kind],
        decode=DECODE[tokenizer.kind],
    )
