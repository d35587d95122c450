"""Sums, extremes, moments, norms, softmax, over any dimensions."""

import torch
from torch import nn
from torch.nn import functional as F

from pointwise import Fit, Function
from zoo import Row


def rows():
    x = torch.randn(6, 5, 7, 4)
    named = {
        "sum": lambda v, d, k: v.sum(d, keepdim=k), "mean": lambda v, d, k: v.mean(d, keepdim=k), "amax": lambda v, d, k: v.amax(d, keepdim=k),
        "amin": lambda v, d, k: v.amin(d, keepdim=k), "var": lambda v, d, k: v.var(d, keepdim=k), "std": lambda v, d, k: v.std(d, keepdim=k, unbiased=False),
        "var_mean": lambda v, d, k: torch.var_mean(v, d, keepdim=k), "std_mean": lambda v, d, k: torch.std_mean(v, d, correction=2, keepdim=k),
        "norm2": lambda v, d, k: torch.linalg.vector_norm(v, 2, d, k), "norm1": lambda v, d, k: torch.linalg.vector_norm(v, 1, d, k),
        "norm3": lambda v, d, k: torch.linalg.vector_norm(v, 3, d, k), "norm_inf": lambda v, d, k: torch.linalg.vector_norm(v, torch.inf, d, k),
        "norm": lambda v, d, k: torch.norm(v, 2, d, k), "logsumexp": lambda v, d, k: torch.logsumexp(v, d, k),
    }
    for name, function in named.items():
        for label, dims, keep in (("last", [3], False), ("first", [0], False), ("inner", [1], True), ("outer", [0, 2, 3], True), ("all", [0, 1, 2, 3], False)):
            yield Row(f"reductions.{name}_{label}", Function(lambda v, f=function, d=dims, k=keep: f(v, d, k)), [x])
    whole = {
        "sum_of_all": torch.sum, "mean_of_all": torch.mean, "max_of_all": torch.max, "min_of_all": torch.min, "var_of_all": torch.var, "std_of_all": torch.std,
        "prod_of_all": lambda v: torch.prod(v[0, 0]), "prod": lambda v: torch.prod(v, 1), "softmax": lambda v: F.softmax(v, -1), "softmax1": lambda v: F.softmax(v, 1),
        "log_softmax0": lambda v: F.log_softmax(v, 0), "softmin": lambda v: F.softmin(v, 2), "normalize": lambda v: F.normalize(v, dim=1),
        "cosine_similarity": lambda v: F.cosine_similarity(v, v.flip(0) + 0.5, dim=1), "transposed": lambda v: v.transpose(1, 3).sum(1),
    }
    for name, function in whole.items():
        yield Row(f"reductions.{name}", Function(function), [x])
    yield Row("reductions.long_sum", Function(lambda v: (v.sum(), v.mean(1), v.std(), torch.linalg.vector_norm(v))), [torch.randn(3, 70001)])

    def scored(function):
        return lambda v: function(v) * torch.linspace(-1, 1, 23)

    t = torch.randn(17, 23)
    trained = {
        "mean_train": lambda v: v - v.mean(1, keepdim=True), "var_train": lambda v: v / v.var(1, keepdim=True), "std_train": lambda v: v / v.std(0, keepdim=True),
        "softmax_train": scored(lambda v: F.softmax(v, -1)), "softmax0_train": scored(lambda v: F.softmax(v, 0)), "log_softmax0_train": scored(lambda v: F.log_softmax(v, 0)),
        "logsumexp_train": lambda v: v - torch.logsumexp(v, 1, keepdim=True), "norm1_train": lambda v: v / v.abs().sum(1, keepdim=True),
        "norm2_train": lambda v: v / torch.linalg.vector_norm(v, dim=1, keepdim=True), "normalize_train": lambda v: F.normalize(v, dim=1),
        "amax_train": lambda v: v - v.amax(1, keepdim=True), "rms_train": lambda v: v * torch.rsqrt(v.pow(2).mean(-1, keepdim=True) + 1e-6),
    }
    for name, function in trained.items():
        limit = 2e-4 if name == "softmax0_train" else 2e-5  # a loss near 0, a difference of sums near 1
        yield Row(f"reductions.{name}", Fit(function), [t], train=True, limit=limit)
