"""What to do about characters that a vocabulary lacks."""

from charrnn.errors import VocabularyError


def advised(problem: str) -> VocabularyError:
    """The same with the option that scores them; of text that is at fault itself, as it is."""
    advice = "; --unk counts each as one in the vocabulary's size" if "vocabulary" in problem else ""
    return VocabularyError(f"{problem}{advice}")
