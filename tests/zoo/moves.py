"""Bytes that change place or type."""

import torch
from torch import nn
from torch.nn import functional as F

from zoo import Row


class Net(nn.Module):
    """A layer before what is tried, so that its gradient matters too."""

    def __init__(self, shape, body):
        super().__init__()
        self.linear = nn.Linear(24, 24)
        self.shape, self.body = shape, body

    def outputs(self, x):
        out = self.body(self.linear(x).reshape(-1, *self.shape))
        return out if isinstance(out, tuple) else (out,)


class Predict(Net):
    def forward(self, x):
        return self.outputs(x)


class Loss(Net):
    """Every place of a row has its own weight; the rows, whose order is drawn, have the same."""

    def one(self, out):
        places = torch.arange(1.0, out[0].numel() + 1).reshape(out.shape[1:])
        return (out.float() * places).mean() / 16 + (out.float() * out.float()).mean()

    def forward(self, x):
        return sum(self.one(out) for out in self.outputs(x))


def filled(x):
    y = x.clone()
    y[:, 1:3] = 0
    y[:, 0, ::2] = 7.5
    return y


def replaced(x):
    y = torch.zeros_like(x)
    y[:, :, 1:4] = x[:, :, :3] * 2
    y[:, 2] += x[:, 1]
    return y


# What a tensor of shape (batch, *shape) goes through, and that shape.
BODIES = {
    "select": ((4, 6), lambda x: x[:, 2] * x.select(2, 1).sum(1, keepdim=True)),
    "slice": ((4, 6), lambda x: x[:, 1:3, ::2] * 2),
    "slice_transposed": ((4, 6), lambda x: x.transpose(1, 2)[:, 1:5, 1:3] * 3),
    "split": ((4, 6), lambda x: x.split(2, dim=2)),
    "split_with_sizes": ((4, 6), lambda x: x.split([1, 3, 2], dim=2)),
    "tensor_split": ((4, 6), lambda x: torch.tensor_split(x, 4, dim=2)),
    "chunk": ((4, 6), lambda x: tuple(part * 2 for part in x.chunk(3, dim=2))),
    "narrow": ((4, 6), lambda x: x.narrow(2, 1, 3)),
    "unbind": ((4, 6), lambda x: x.unbind(1)),
    "diagonal": ((4, 6), lambda x: x.diagonal(1, 1, 2)),
    "as_strided": ((24,), lambda x: x.as_strided((x.shape[0], 5, 8), (24, 4, 1))),
    "unfold": ((24,), lambda x: x.unfold(1, 8, 4) * 2),
    "expand": ((4, 1, 6), lambda x: x.expand(-1, -1, 3, -1) * 2),
    "fill_slice": ((4, 6), filled),
    "copy_slice": ((4, 6), replaced),
    "cat": ((4, 6), lambda x: torch.cat([x, x[:, :, :2] * 2, torch.ones_like(x[:, :, :1])], 2)),
    "cat_many": ((24,), lambda x: torch.cat([x[:, i % 24 : i % 24 + 1] for i in range(150)], 1)),
    "stack": ((4, 6), lambda x: torch.stack([x, x * 2], 1)),
    "flip": ((4, 6), lambda x: (x.flip(1), x.flip(1, 2), x.fliplr(), x.rot90(1, (1, 2)))),
    "roll": ((4, 6), lambda x: (x.roll(2, 1), x.roll((1, -2), (1, 2)), x.roll(5))),
    "repeat": ((4, 6), lambda x: (x.repeat(1, 2, 3), x.unsqueeze(1).repeat(1, 2, 1, 1), x.tile((2,)), x.repeat_interleave(3, 2), x[:, :2].repeat_interleave(2, 1))),
    "pad": ((2, 3, 4), lambda x: (F.pad(x, (1, 2)), F.pad(x, (0, 1, 2, 0), value=1.5), F.pad(x, (-1, 1)))),
    "pad_reflect": ((2, 3, 4), lambda x: (F.pad(x, (1, 2, 2, 1), mode="reflect"), F.pad(x[:, 0], (3, 1), mode="reflect"))),
    "pad_replicate": ((2, 3, 4), lambda x: (F.pad(x, (1, 2, 0, 3), mode="replicate"), F.pad(x[:, 0], (3, 1), mode="replicate"))),
    "pad_circular": ((2, 3, 4), lambda x: F.pad(x, (1, 2, 2, 1), mode="circular")),
    "pad_3d": ((1, 2, 3, 4), lambda x: (F.pad(x, (1, 2, 1, 1, 0, 1), mode="reflect"), F.pad(x, (1, 2, 1, 1, 0, 1), mode="replicate"))),
    "shuffle": ((4, 2, 3), lambda x: (F.pixel_shuffle(x, 2), F.pixel_unshuffle(x.reshape(-1, 1, 4, 6), 2), F.channel_shuffle(x, 2))),
    "triangle": ((4, 6), lambda x: (x.tril(), x.triu(1), x.tril(-1), x @ torch.ones(6, 6).triu(), x * torch.ones(4, 6).tril(2))),
    "constants": ((4, 6), lambda x: (x @ torch.eye(6), x * torch.linspace(0, 1, 6), x + torch.full((6,), 2.0), x * torch.zeros_like(x), x + x.new_ones(4, 6), x * torch.arange(6), x + torch.full_like(x, 0.5))),
    "copies": ((4, 6), lambda x: (x.clone(), x.contiguous(), x.transpose(1, 2).contiguous(), x.detach() * x, torch.empty_like(x).copy_(x), x.to(torch.float32, copy=True))),
    "scatter_views": ((4, 6), lambda x: (torch.diagonal_scatter(x, x[:, 0, :4], 0, 1, 2), torch.slice_scatter(x, x[:, :2] * 2, 1, 1, 3), torch.select_scatter(x, x[:, 0], 1, 2))),
    "meshgrid": ((24,), lambda x: torch.meshgrid(x.sum(0), x.mean(0), indexing="ij")),
    "order": ((4, 2, 3), lambda x: (x.movedim(1, 3), x.permute(0, 3, 1, 2), x.transpose(1, 2), x.swapaxes(1, 3), x.unflatten(1, (2, 2)), x.flatten(1), x.squeeze(0), x.unsqueeze(2))),
    "diagonals": ((4, 6), lambda x: (torch.diag_embed(x), torch.diag_embed(x, 1), x.diagonal(0, 1, 2).sum(1), torch.block_diag(x.sum(0), x.mean(0)), x.sum(0).trace().expand(8))),
    "stacks": ((4, 6), lambda x: (torch.hstack([x, x]), torch.vstack([x, x]), torch.dstack([x, x]), torch.column_stack([x[:, 0], x[:, 1]]))),
    "bfloat16": ((4, 6), lambda x: (x.bfloat16() * 2).float()),
}


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(24, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 7)).bfloat16()

    def forward(self, x):
        return self.net(x)


class HalfLoss(Half):
    def forward(self, x, y):
        return F.cross_entropy(self.net(x), y)


def rows():
    x = torch.randn(8, 24)
    for name, (shape, body) in BODIES.items():
        yield Row(f"moves.{name}", Predict(shape, body), [x])
        yield Row(f"moves.{name}_train", Loss(shape, body), [x], train=True, lr=0.001)
    # Rounded to 8 bits in another order: PyTorch keeps some sums in f32 that are rounded here, and the other way round.
    yield Row("moves.bfloat16_net", Half(), [x.bfloat16()], limit=0.02)
    yield Row("moves.bfloat16_net_train", HalfLoss(), [x.bfloat16(), torch.randint(0, 7, (8,))], train=True, limit=0.03)
