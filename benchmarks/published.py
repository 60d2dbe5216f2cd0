"""What others have published of character models on three texts, quoted: none of it was run here."""

from dataclasses import dataclass

NANOGPT = "github.com/karpathy/nanoGPT, README"
PROGRESS = "github.com/sebastianruder/NLP-progress, language modeling"


@dataclass(frozen=True)
class Published:
    """One row of a table: bits per character (of enwik8 per byte), millions of weights, what it cost, who says so."""

    text: str
    model: str
    weights: float | None
    bpc: float | None
    cost: str
    source: str


# nanoGPT's figures are nats, 1.4697 and 1.88, means over random windows of 256 and of 64 characters, the best of many.
ALL = (
    Published("shakespeare", "nanoGPT, 6 layers x 384", 10.7, 2.120, "3 minutes of an A100", NANOGPT),
    Published("shakespeare", "nanoGPT, 4 layers x 128, on a CPU", 0.8, 2.71, "3 minutes of a laptop", NANOGPT),
    Published("shakespeare", "minGRU, 3 layers x 384", None, 2.233, "some 600 steps", "arXiv 2410.01201"),
    Published("shakespeare", "minLSTM, 3 layers x 384", None, 2.243, "some 600 steps", "arXiv 2410.01201"),
    Published("shakespeare", "char-rnn, LSTM 2 x 128", 0.2, None, "50 epochs; no figure is published",
              "github.com/karpathy/char-rnn, train.lua"),
    Published("ptb", "AWD-LSTM 3 x 1000", 13.8, 1.175, "500 epochs, one GPU", f"{PROGRESS}; awd-lstm-lm, README"),
    Published("ptb", "AWD-QRNN, 6 layers", 13.8, 1.187, "one GPU", PROGRESS),
    Published("ptb", "HyperLSTM", 14.4, 1.219, "one GPU", PROGRESS),
    Published("ptb", "Mogrifier LSTM", 24, 1.120, "tuned by many runs", PROGRESS),
    Published("ptb", "Mogrifier RLSTM", 24, 1.096, "tuned by many runs", PROGRESS),
    Published("ptb", "Mogrifier RLSTM, dynamic evaluation", 24, 1.061, "tuned by many runs", PROGRESS),
    Published("enwik8", "AWD-LSTM 3 x 1840", 47, 1.232, "2 days of one GPU", f"{PROGRESS}; arXiv 1803.08240"),
    Published("enwik8", "multiplicative LSTM", 46, 1.24, "one GPU", PROGRESS),
    Published("enwik8", "multiplicative LSTM, dynamic evaluation", 46, 1.08, "one GPU", PROGRESS),
    Published("enwik8", "SHA-RNN (with attention)", 63, 1.07, "a day of one Titan V", "github.com/Smerity/sha-rnn"),
    Published("enwik8", "Mogrifier RLSTM", 96, 1.042, "tuned by many runs", PROGRESS),
    Published("enwik8", "Transformer-XL, 24 layers", 277, 0.99, "several GPUs", PROGRESS),
)  # fmt: skip
