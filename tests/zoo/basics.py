"""What the first programs of most people hold."""

import torch
from torch import nn
from torch.nn import functional as F

from zoo import Row


class Classifier(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, y):
        return F.cross_entropy(self.net(x), y)


def mlp():
    return nn.Sequential(nn.Linear(20, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 7))


def rows():
    x, y = torch.randn(16, 20), torch.randint(0, 7, (16,))
    yield Row("basics.mlp", mlp(), [x])
    yield Row("basics.mlp_dynamic", mlp(), [x], dynamic=True)
    yield Row("basics.mlp_train", Classifier(mlp()), [x, y], train=True)
    yield Row("basics.mlp_train_dynamic", Classifier(mlp()), [x, y], train=True, dynamic=True, options=("--batch", "16"))
