"""A small convolutional network with a residual block for images of handwritten digits: 8 x 8 pixels in, 10 scores out."""

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two convolutions, each with batch normalisation, around which the input is added."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(x + self.second_norm(self.second(y)))


class Images(nn.Module):
    def __init__(self, channels=16, digits=10, dropout=0.2):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.stem_norm = nn.BatchNorm2d(channels)
        self.block = Block(channels)
        self.wider = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.wider_norm = nn.BatchNorm2d(2 * channels)
        self.channels_off = nn.Dropout2d(dropout)
        self.deeper = Block(2 * channels)
        self.scores = nn.Linear(4 * channels, digits)

    def forward(self, x):
        x = x.view(-1, 1, 8, 8)
        x = F.relu(self.stem_norm(self.stem(x)))
        x = F.max_pool2d(self.block(x), 2)
        x = self.channels_off(F.relu(self.wider_norm(self.wider(x))))
        x = self.deeper(x)
        mean = F.adaptive_avg_pool2d(F.avg_pool2d(x, 2), 1)
        most = F.adaptive_max_pool2d(x, 1)
        return self.scores(torch.cat([mean, most], 1).flatten(1))


class Training(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y):
        return F.cross_entropy(self.model(x), y)


class Prediction(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)
