"""Names that options choose from: the command line lists them without loading what they name."""

from enum import StrEnum


class CellName(StrEnum):
    """Cells of the network; a test holds this list to `LAYERS`."""

    rnn = "rnn"
    rnn_relu = "rnn-relu"
    rnn_gelu = "rnn-gelu"
    indrnn = "indrnn"
    lstm = "lstm"
    lstm_peephole = "lstm-peephole"
    lstm_coupled = "lstm-coupled"
    lstm_layernorm = "lstm-layernorm"
    lstm_mogrifier = "lstm-mogrifier"
    lstm_nested = "lstm-nested"
    mlstm = "mlstm"
    slstm = "slstm"
    gru = "gru"
    gru_update = "gru-update"
    gru_before = "gru-before"
    gru_before_update = "gru-before-update"
    gru_layernorm = "gru-layernorm"
    mingru = "mingru"
    minlstm = "minlstm"


class SkipName(StrEnum):
    """What stands between two layers; a test holds this list to `CONNECTIONS`."""

    none = "none"
    residual = "residual"
    highway = "highway"
    dense = "dense"


class TokenizerName(StrEnum):
    """Units of text."""

    char = "char"
    byte = "byte"
    subword = "subword"


class DocumentsName(StrEnum):
    """How documents are told apart."""

    stream = "stream"
    lines = "lines"
    paragraphs = "paragraphs"


class OptimizerName(StrEnum):
    """What moves the weights; a test holds this list to `OPTIMIZERS`."""

    soap = "soap"
    adamw = "adamw"
    sgd = "sgd"


class PrecisionName(StrEnum):
    """Number formats of the training step; fp16 on a GPU."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"
