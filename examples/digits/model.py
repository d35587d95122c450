"""A small classifier of handwritten digits: 64 pixels in, 10 scores out."""

import torch
from torch import nn
from torch.nn import functional as F


class Digits(nn.Module):
    def __init__(self, pixels=64, hidden=256, digits=10):
        super().__init__()
        self.contrast = nn.LayerNorm(pixels)
        self.pixels_off = nn.Dropout(0.1)
        self.hidden = nn.Linear(pixels, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.hidden_off = nn.Dropout(0.3)
        self.scores = nn.Linear(hidden, digits)

    def forward(self, x):
        x = self.pixels_off(self.contrast(x))
        x = self.hidden_off(self.norm(F.relu(self.hidden(x))))
        return self.scores(x)


class Training(nn.Module):
    """What a training program is: data in, loss out. The optimizer is chosen when it is run."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y):
        return F.cross_entropy(self.model(x), y)


class Prediction(nn.Module):
    """The same parameter names as in training, so that its weights fit by name."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)
