"""charrnn inspect counts"""

from typing import Annotated

from charrnn.cli import options as opt
from charrnn.cli.standard_input import or_standard_input
from charrnn.cli.tables import print_table
from charrnn.config import Range
from charrnn.console import say, working, write
from charrnn.schema import to_json_text

EXAMPLES = """Examples:

    charrnn inspect counts

    charrnn inspect counts --length 5000 letters.txt

    charrnn inspect counts -m fables --json | jq '{name, bits, weight}'
"""

LOOKED_AT = 50_000


def counts(
    texts: opt.Texts = None,
    length: Annotated[
        int, opt.option("Analysis", "Tokens of the text to look at.", within=Range(at_least=1, at_most=10**7))
    ] = LOOKED_AT,
    model: opt.Model = None,
    checkpoints: opt.Checkpoints = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """What tables of counts know, and what only the network does: bits per token by each, and where it stands.

    The network and each expert by itself, with the mean weight that the gate gives it, then all together; a negative
    weight takes away what an expert says. Places are those in a word. Where a word is well begun, tables that have met
    it know how it goes on; how it may begin, and what stands between words, a network knows better.
    """
    working("reading the model and the text")
    from charrnn import api
    from charrnn.api.contributions import GROUPS, read_beside
    from charrnn.text.kept import KeptText

    loaded, named = api.load(model, checkpoints=checkpoints), or_standard_input(texts)
    say(f"model: {loaded.header.path}")
    kept = KeptText(named, any_bytes=loaded.tokenizer.any_bytes) if named else api.held_out(loaded)
    working(f"reading {kept.label}")
    readers = read_beside(loaded, kept.read(), length=length)
    if as_json:
        write("".join(to_json_text(reader.to_json()) + "\n" for reader in readers))
        return
    headings = [] if quiet else [["", "bits", "weight", *GROUPS]]
    rows = [[each.name, each.bits, each.weight, *(each.by_place[group] for group in GROUPS)] for each in readers]
    print_table([*headings, *rows], sides="<" + ">" * (2 + len(GROUPS)))
