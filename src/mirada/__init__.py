"""mirada trains, runs and explains convolutional neural networks on your own images, on your own computer."""

__version__ = "0.1.0.dev0"
