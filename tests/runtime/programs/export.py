"""Small programs for the tests of runtime/: each holds one thing that the digits do not."""
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Static(nn.Module):  # weights inside, tied, batch fixed at 8, a tensor constant
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4, bias=False)
        self.b = nn.Linear(4, 4, bias=False)
        self.b.weight = self.a.weight
        self.register_buffer("shift", torch.arange(4.0), persistent=False)

    def forward(self, x, y):
        return F.mse_loss(self.b(torch.tanh(self.a(x)) * 0.5 + self.shift), y)


class Undefined(nn.Module):  # lgamma has no definition on exact, nor has its derivative
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)

    def forward(self, x, y):
        return F.cross_entropy(torch.lgamma(self.a(x)), y)


class Counter(nn.Module):  # a buffer that the graph writes
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)
        self.register_buffer("seen", torch.zeros(3))

    def forward(self, x, y):
        h = torch.sigmoid(self.a(x))
        self.seen.mul_(0.9).add_(h.detach().mean(0), alpha=0.1)
        return F.cross_entropy(h.view(2, -1, 3).flatten(0, 1) / 0.5, y)


class Dependent(nn.Module):  # a shape that depends on values
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)

    def forward(self, x, y):
        return F.cross_entropy(self.a(x)[torch.nonzero(y)[:, 0]], y[torch.nonzero(y)[:, 0]])


class Plain(nn.Module):  # nothing random, any batch
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x, y):
        return F.cross_entropy(self.net(x), y)


class Volumes(nn.Module):  # convolutions in three dimensions and in one, and back
    def __init__(self):
        super().__init__()
        self.down = nn.Conv3d(1, 6, (2, 3, 3), stride=(1, 2, 1), padding=(0, 1, 1))
        self.up = nn.ConvTranspose3d(6, 4, (3, 2, 2), stride=(2, 1, 1), groups=2)
        self.line = nn.Conv1d(4, 6, 5, stride=3, dilation=2, padding=1)
        self.scores = nn.Linear(6, 10)

    def forward(self, x, y):
        x = F.relu(self.down(x.view(-1, 1, 4, 4, 4)))
        x = F.relu(self.line(F.relu(self.up(x)).flatten(2)))
        return F.cross_entropy(self.scores(x.mean(2)), y)


batch = torch.export.Dim("batch", min=2, max=65536)
digits = (torch.zeros(8, 64), torch.zeros(8, dtype=torch.int64))
program = torch.export.export(Plain().train(), digits, dynamic_shapes=({0: batch}, {0: batch}))
torch.export.save(program, "plain.pt2")
for name, module, args in (
    ("static", Static(), (torch.zeros(8, 4), torch.zeros(8, 4))),
    ("undefined", Undefined(), (torch.zeros(8, 4), torch.zeros(8, dtype=torch.int64))),
    ("dependent", Dependent(), (torch.ones(8, 4), torch.ones(8, dtype=torch.int64))),
    ("counter", Counter(), (torch.zeros(8, 4), torch.zeros(8, dtype=torch.int64))),
):
    torch.export.save(torch.export.export(module.train(), args), f"{name}.pt2")
torch.export.save(torch.export.export(Volumes().train(), digits), "volumes.pt2")
