"""What a sampling's patterns leave open behind its prompt; refused, with the reason, where they leave nothing."""

from charrnn.config import require
from charrnn.config.fields import shown
from charrnn.generation.config import SampleConfig
from charrnn.generation.constraints.automaton import NEVER, Automaton, automaton_of
from charrnn.generation.constraints.syntax import named


def begun(config: SampleConfig, alphabet: str, prompt: str) -> Automaton:
    """The automaton of what may follow the prompt. Raises ConfigError when nothing can within the length."""
    patterns = tuple(config.match or ())
    asked = [*map(named, patterns)]
    if config.lines is not None:
        patterns += (rf"(?:[^\n]*\n){{{config.lines - 1}}}[^\n]+",)
        asked.append(f"`lines` {config.lines}")
    least = config.min_length or 0
    if least:
        asked.append(f"`min_length` {least}")
    words = " and ".join(asked)
    found = automaton_of(patterns, least, alphabet, prompt)
    shortest = int(found.distance[0])
    if shortest >= NEVER and prompt:
        alone = automaton_of(patterns, least, alphabet).distance[0] < NEVER
        require(not alone, f"no text that begins with the prompt {shown(prompt)} can match {words}")
    require(shortest < NEVER, f"no text that the model can write matches {words}")
    behind = " behind the prompt" if prompt else ""
    require(
        shortest <= config.length,
        f"the shortest text{behind} that matches {words} has {shortest:,} characters: `length` is {config.length:,}",
    )
    return found
