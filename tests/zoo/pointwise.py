"""Element by element: functions, activations, their gradients."""

import torch
from torch import nn
from torch.nn import functional as F

from zoo import Row


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


class Fit(nn.Module):
    """A weight before and after a function, so that its gradient is asked for."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.before = nn.Parameter(torch.linspace(0.6, 1.4, 23))
        self.after = nn.Parameter(torch.ones(23))

    def forward(self, x):
        return (self.function(x * self.before) * self.after).mean()


def rows():
    x = torch.randn(17, 23) * 2
    y = torch.randn(17, 23)
    positive = torch.rand(17, 23) + 0.1
    unit = torch.rand(17, 23) * 1.8 - 0.9
    anywhere = {
        "abs": torch.abs, "sign": torch.sign, "sgn": torch.sgn, "square": torch.square, "exp": torch.exp, "exp2": torch.exp2,
        "expm1": torch.expm1, "sin": torch.sin, "cos": torch.cos, "tan": torch.tan, "atan": torch.atan, "sinh": torch.sinh,
        "cosh": torch.cosh, "tanh": torch.tanh, "erf": torch.erf, "erfc": torch.erfc, "sigmoid": torch.sigmoid, "floor": torch.floor,
        "ceil": torch.ceil, "round": torch.round, "trunc": torch.trunc, "frac": torch.frac, "nan_to_num": torch.nan_to_num,
        "pow3": lambda v: v**3, "pow4": lambda v: v**4, "pow_base": lambda v: 1.7**v, "reciprocal": torch.reciprocal,
        "rsub": lambda v: 2 - v, "rdiv": lambda v: 1 / (v.abs() + 1), "neg": lambda v: -v,
        "clamp": lambda v: v.clamp(-1, 0.5), "clamp_min": lambda v: v.clamp_min(0.1), "clamp_max": lambda v: v.clamp(max=0.1),
        "fmod": lambda v: torch.fmod(v, 0.7), "remainder": lambda v: torch.remainder(v, 0.7),
        "floor_divide": lambda v: torch.div(v, 0.7, rounding_mode="floor"), "trunc_divide": lambda v: torch.div(v, 0.7, rounding_mode="trunc"),
        "relu": F.relu, "relu6": F.relu6, "leaky_relu": F.leaky_relu, "elu": F.elu, "celu": lambda v: F.celu(v, 1.3), "selu": F.selu,
        "gelu": F.gelu, "gelu_tanh": lambda v: F.gelu(v, approximate="tanh"), "silu": F.silu, "mish": F.mish, "softplus": F.softplus,
        "softplus_beta": lambda v: F.softplus(v, 2, 3), "softsign": F.softsign, "tanhshrink": F.tanhshrink, "softshrink": F.softshrink,
        "hardshrink": F.hardshrink, "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid, "hardtanh": F.hardtanh,
        "logsigmoid": F.logsigmoid, "threshold": lambda v: F.threshold(v, 0.3, -1.0), "leaky_relu_": lambda v: F.leaky_relu(v + 0, 0.2, inplace=True),
        "relu_": lambda v: F.relu(v + 0, inplace=True), "elu_": lambda v: F.elu(v + 0, inplace=True),
        "hardswish_": lambda v: F.hardswish(v + 0, inplace=True), "silu_": lambda v: F.silu(v + 0, inplace=True), "relu6_": lambda v: F.relu6(v + 0, inplace=True),
    }
    above_zero = {
        "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "log": torch.log, "log2": torch.log2, "log10": torch.log10, "log1p": torch.log1p,
        "pow_half": lambda v: v**0.5, "pow_minus_half": lambda v: v**-0.5, "pow_1.7": lambda v: v**1.7, "pow_minus_2": lambda v: v**-2,
    }
    inside_one = {"asin": torch.asin, "acos": torch.acos, "atanh_log": lambda v: torch.log1p(v) - torch.log1p(-v)}
    for table, values in ((anywhere, x), (above_zero, positive), (inside_one, unit)):
        for name, function in table.items():
            yield Row(f"pointwise.{name}", Function(function), [values])
    pairs = {
        "add": torch.add, "add_alpha": lambda a, b: torch.add(a, b, alpha=0.3), "sub": torch.sub, "sub_alpha": lambda a, b: torch.sub(a, b, alpha=2),
        "mul": torch.mul, "div": torch.div, "minimum": torch.minimum, "maximum": torch.maximum, "fmin": torch.fmin, "fmax": torch.fmax,
        "atan2": torch.atan2, "copysign": torch.copysign, "logaddexp": torch.logaddexp, "fmod2": torch.fmod, "remainder2": torch.remainder,
        "lerp": lambda a, b: torch.lerp(a, b, 0.3), "lerp_tensor": lambda a, b: torch.lerp(a, b, torch.sigmoid(b)),
        "addcmul": lambda a, b: torch.addcmul(a, a, b, value=0.7), "addcdiv": lambda a, b: torch.addcdiv(a, a, b.abs() + 1, value=0.7),
        "clamp_tensors": lambda a, b: torch.clamp(a, b - 0.5, b + 0.5), "xlogy": lambda a, b: torch.xlogy(a, b.abs() + 0.1),
        "pow_tensors": lambda a, b: torch.pow(a.abs() + 0.1, b), "row": lambda a, b: a + b[0], "column": lambda a, b: a * b[:, :1],
        "outer": lambda a, b: a[:, :1] - b[:1, :], "number": lambda a, b: a / b.abs().sum(),
    }
    for name, function in pairs.items():
        yield Row(f"pointwise.{name}", Function(function), [x, y])
    yield Row("pointwise.channel", Function(lambda a, b: a * b), [torch.randn(3, 5, 4, 7), torch.randn(1, 5, 1, 1)])
    yield Row("pointwise.prelu", nn.PReLU(), [x])
    yield Row("pointwise.prelu_channels", nn.PReLU(5), [torch.randn(3, 5, 4)])
    yield Row("pointwise.glu", nn.GLU(), [torch.randn(4, 10)])
    yield Row("pointwise.logit", Function(lambda v: torch.logit(v, eps=1e-3)), [torch.rand(5, 9)])
    without = {"sign", "sgn", "floor", "ceil", "round", "trunc", "floor_divide", "trunc_divide", "leaky_relu_", "elu_", "hardswish_", "silu_", "relu6_", "relu_"}
    for name, function in anywhere.items():
        if name not in without:
            lr = 1e-3 if name in ("exp", "expm1", "sinh", "cosh", "tan", "exp2", "pow4") else 0.05  # steep: a larger step diverges, in PyTorch too
            yield Row(f"pointwise.{name}_train", Fit(function), [x], train=True, lr=lr)
    for name, function in above_zero.items():
        yield Row(f"pointwise.{name}_train", Fit(function), [positive + 0.5], train=True)
    yield Row("pointwise.asin_train", Fit(lambda v: torch.asin(v * 0.5)), [unit], train=True)
    yield Row("pointwise.acos_train", Fit(lambda v: torch.acos(v * 0.5)), [unit], train=True)
    yield Row("pointwise.minimum_train", Fit(lambda v: torch.minimum(v, y)), [x], train=True)
    yield Row("pointwise.lerp_train", Fit(lambda v: torch.lerp(v, y, 0.3)), [x], train=True)
    yield Row("pointwise.addcmul_train", Fit(lambda v: torch.addcmul(y, v, y)), [x], train=True)
    yield Row("pointwise.logaddexp_train", Fit(lambda v: torch.logaddexp(v, y)), [x], train=True)
    yield Row("pointwise.prelu_train", Fit(nn.PReLU(23)), [x], train=True)
    yield Row("pointwise.glu_train", Fit(lambda v: F.glu(torch.cat([v, v * 0.5], 1))), [x], train=True)
