"""Integers and truth values: arithmetic, comparison, choice."""

import torch
from torch import nn

from zoo import Row


class Body(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, *inputs):
        out = self.body(*inputs)
        return out if isinstance(out, tuple) else (out,)


class Masked(nn.Module):
    """A loss whose gradient goes through choices."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x, n):
        y = self.linear(x)
        y = torch.where(n > 0, y * 2, y)
        y = y.masked_fill(n.eq(3), -1.0)
        return (y * (n % 2 == 0)).pow(2).mean() + torch.where(y > 0, y, 0.1).mean() + (y * n).mean()


# Of integers a, b (8, 6) in -20 .. 20 without 0 in b, and floats x.
BODIES = {
    "add": lambda a, b, x: (a + b, a + 3, a - b, 7 - a, torch.add(a, b, alpha=3), a.sub(b, alpha=2)),
    "mul": lambda a, b, x: (a * b, a * -3, -a, a.abs(), a.square(), a**3),
    "div": lambda a, b, x: (a // b, a // 3, torch.div(a, b, rounding_mode="trunc"), a / b, a / 4),
    "remainder": lambda a, b, x: (a % b, a % 5, torch.fmod(a, b), torch.fmod(a, 3)),
    "bits": lambda a, b, x: (a & b, a | b, a ^ b, ~a, a & 7, a | 1, a ^ -1),
    "shift": lambda a, b, x: (a << 3, a >> 2, a << (b & 7), a >> (b & 7)),
    "min_max": lambda a, b, x: (torch.minimum(a, b), torch.maximum(a, b), a.clamp(-5, 5), a.clamp(min=0), a.clamp(max=3)),
    "int32": lambda a, b, x: (a.int() + b.int(), a.int() * 3, a.int() // b.int(), a.int() < b.int(), a.int().sum(1)),
    "uint8": lambda a, b, x: (a.to(torch.uint8) + 1, a.to(torch.uint8).float(), a.abs().to(torch.uint8) // 3),
    "compare": lambda a, b, x: (a == b, a != b, a < b, a <= b, a > b, a >= b, a == 3, a < 0, x < 0, x >= x.t().t() * 2, a < x),
    "logic": lambda a, b, x: ((a > 0) & (b > 0), (a > 0) | (x > 0), ~(a > 0), torch.logical_xor(a > 0, b > 0), torch.logical_and(a, b), torch.logical_not(a)),
    "any_all": lambda a, b, x: ((a > 0).any(1), (a > -18).all(1), (x > 0).any(0), (a > 0).all(1, keepdim=True), a.bool(), x.bool()),
    "where": lambda a, b, x: (torch.where(a > 0, a, b), torch.where(a > 0, x, 0.0), torch.where(x > 0, 1, 0), torch.where(a > 0, a, x), torch.where(a > b, x[:, :1], x)),
    "masked_fill": lambda a, b, x: (x.masked_fill(a > 0, float("-inf")).exp(), a.masked_fill(x > 0, -1), x.masked_fill(a[0] > 0, 2.0)),
    "special": lambda a, b, x: (torch.isnan(x / x.relu()), torch.isinf(x / x.relu()), torch.isfinite(x / x.relu())),
    "sum": lambda a, b, x: (a.sum(1), a.sum(0), (x > 0).sum(1), a.sum((0, 1)).expand(8), a.sum(1, keepdim=True), a.sum(1, dtype=torch.float32)),
    "product": lambda a, b, x: (a @ b.t(), torch.bmm(a.reshape(8, 2, 3), b.reshape(8, 3, 2)), a @ b[0]),
    "greatest": lambda a, b, x: (a.argmax(1), a.argmin(1), a.amax(1), a.amin(0), a.max(1)[0], a.max(1)[1], a.min(0)[0], a.max().expand(8), *a.aminmax(dim=1)),
    "prod": lambda a, b, x: ((a % 5).prod(1), (a % 3 + 1).prod().expand(8), a.cumsum(1)),
    "isin": lambda a, b, x: (torch.isin(a, b[0]), torch.isin(a, b[0], invert=True)),
    "rounded": lambda a, b, x: (a.floor(), a.sign(), a.clamp(b.abs().neg(), b.abs()), torch.floor_divide(a, 3), a.fmod(4), a.to(torch.uint8).abs(), torch.fmax(a, b)),
    "mixed": lambda a, b, x: (a + x, x * a, a - x, (a > 0) * x, (a > 0) + a, (a > 0).float().mean(1), a * 0.5, (a > 0) * 2),
    "in_place": lambda a, b, x: (a.clone().add_(b).mul_(2).sub_(1), x.clone().mul_(a > 0), a.clone().bitwise_and_(7)),
}


def rows():
    a, b = torch.randint(-20, 21, (8, 6)), torch.randint(1, 21, (8, 6)) * torch.tensor([1, -1]).repeat(8, 3)
    x = torch.randn(8, 6)
    for name, body in BODIES.items():
        yield Row(f"integers.{name}", Body(body), [a, b, x])
    yield Row("integers.masked_train", Masked(), [x, a], train=True)
