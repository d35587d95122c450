"""Places by index: embeddings, gather and scatter, order, scans, with their gradients."""

import torch
from torch import nn
from torch.nn import functional as F

from zoo import Row


class Do(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        made = self.function(*inputs)
        return made if isinstance(made, torch.Tensor) else tuple(made)  # the named tuples of torch are not saved


class Loss(nn.Module):
    """The mean square of what `function` makes of a weight (rows, 6) and the inputs."""

    def __init__(self, function, rows=12):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, 6))
        self.function = function

    def forward(self, *inputs):
        made = self.function(self.weight, *inputs)
        return (made * made).mean()


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.place, self.head = nn.Embedding(40, 16), nn.Embedding(8, 16), nn.Linear(16, 40, bias=False)
        self.head.weight = self.token.weight

    def forward(self, x, y):
        h = torch.tanh(self.token(x) + self.place(torch.arange(x.shape[1])))
        return F.cross_entropy(self.head(h).flatten(0, 1), y.flatten())


class Bags(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.bag = nn.EmbeddingBag(30, 8, mode=mode)

    def forward(self, x, y):
        return F.mse_loss(self.bag(x), y)


class Filled(nn.Module):
    def __init__(self, fill):
        super().__init__()
        self.fill = fill

    def forward(self, *inputs):
        y = inputs[0] * 1.0
        return self.fill(y, *inputs[1:])


def taking():
    x, i = torch.randn(8, 5, 6), torch.randint(0, 5, (8, 3, 6))
    rows = torch.randint(0, 8, (8,))
    yield "index_select", lambda x, r: torch.index_select(x, 0, r), [x, rows]
    yield "index_select_2", lambda x: x.index_select(2, torch.tensor([5, 0, 0])), [x]
    yield "flip", lambda x: x.flip(0, 2), [x]
    yield "roll", lambda x: torch.roll(x, (2, -1), (1, 2)), [x]
    yield "roll_all", lambda x: torch.roll(x, 7), [x]
    yield "gather_1", lambda x, i: torch.gather(x, 1, i), [x, i]
    yield "gather_last", lambda x, i: x.gather(-1, i), [x, torch.randint(0, 6, (8, 5, 2))]
    yield "take_along_dim", lambda x, i: torch.take_along_dim(x, i, 1), [x, i]
    yield "take_along_dim_spread", lambda x, i: torch.take_along_dim(x, i, 1), [x, torch.randint(0, 5, (8, 1, 6))]
    yield "take", torch.take, [x, torch.randint(-240, 240, (8, 4))]
    yield "index", lambda x, r: x[r], [x, rows]
    yield "index_negative", lambda x, r: x[r], [x, rows - 8]
    yield "index_two", lambda x, a, b: x[a, b], [x, rows, torch.randint(0, 5, (8,))]
    yield "index_spread", lambda x, a, b: x[a[:, None], b[None, :]], [x, rows, torch.randint(0, 5, (8,))]
    yield "index_inner", lambda x, b: x[:, b], [x, torch.randint(0, 5, (8,))]
    yield "index_last", lambda x, b: x[:, :, b], [x, torch.randint(0, 6, (8, 2))]
    yield "index_apart", lambda x, a, b: x[a, :, b], [x, rows, torch.randint(0, 6, (8,))]
    yield "index_list", lambda x: x[:, [3, 1, 1]], [x]
    yield "index_last_of_each", lambda x, b: x[torch.arange(x.shape[0]), b], [x, torch.randint(0, 5, (8,))]
    yield "index_int64", lambda i, r: i[r], [torch.randint(-9, 9, (8, 4)), rows]
    yield "embedding_int32", F.embedding, [torch.randint(0, 8, (8, 3), dtype=torch.int32), torch.randn(8, 5)]


def scattering():
    x, i, src = torch.randn(8, 5), torch.randint(0, 5, (8, 3)), torch.randn(8, 3)
    rows = torch.randint(0, 8, (8,))
    unique = torch.stack([torch.randperm(5)[:3] for _ in range(8)])
    yield "scatter", lambda x, i, s: x.scatter(1, i, s), [x, unique, src]
    yield "scatter_value", lambda x, i: x.scatter(1, i, 2.5), [x, i]
    yield "scatter_0", lambda x, i, s: x.scatter(0, i, s), [x, torch.randperm(8)[:, None].expand(8, 2).contiguous(), src[:, :2].contiguous()]
    yield "scatter_add", lambda x, i, s: x.scatter_add(1, i, s), [x, i, src]
    yield "scatter_add_zeros", lambda i, s: torch.zeros(8, 9).scatter_add(1, i, s), [i, src]
    for reduce in ("sum", "prod", "amax", "amin", "mean"):
        yield f"scatter_reduce_{reduce}", lambda x, i, s, reduce=reduce: x.scatter_reduce(1, i, s, reduce), [x, i, src]
        yield f"scatter_reduce_{reduce}_alone", lambda x, i, s, reduce=reduce: x.scatter_reduce(1, i, s, reduce, include_self=False), [x, i, src]
    yield "index_add", lambda x, r, s: x.index_add(0, r, s), [x, rows, torch.randn(8, 5)]
    yield "index_add_alpha", lambda x, r, s: x.index_add(0, r, s, alpha=0.5), [x, rows, torch.randn(8, 5)]
    yield "index_copy", lambda x, r, s: x.index_copy(0, r, s), [x, torch.randperm(8), torch.randn(8, 5)]
    yield "index_fill", lambda x, r: x.index_fill(0, r, -1.5), [x, rows]
    yield "index_reduce", lambda x, r, s: x.index_reduce(0, r, s, "amax"), [x, rows, torch.randn(8, 5)]
    yield "index_put", Filled(lambda y, r, s: y.index_put((r,), s)), [x, torch.randperm(8), torch.randn(8, 5)]
    yield "index_put_accumulate", Filled(lambda y, r, b, s: y.index_put((r, b), s, accumulate=True)), [x, rows, torch.randint(0, 5, (8,)), torch.randn(8)]

    def assign(y, b, s):
        y[torch.arange(8), b] = s
        return y

    def assign_value(y, b):
        y[:, b] = 0.25
        return y

    yield "assign", Filled(assign), [x, torch.randint(0, 5, (8,)), torch.randn(8)]
    yield "assign_value", Filled(assign_value), [x, torch.tensor([1, 4])]
    yield "one_hot", lambda i: F.one_hot(i, 5), [i]
    yield "one_hot_float", lambda i: F.one_hot(i, 5).float(), [i]
    yield "bincount_by_scatter", lambda r: torch.zeros(8).index_add(0, r, torch.ones(8)), [rows]


def ordering():
    x = torch.randn(8, 9, 4)
    with_ties = torch.randint(0, 4, (8, 33)).float()
    whole = torch.randint(-50, 50, (8, 17))
    yield "sort", lambda x: torch.sort(x, dim=1), [x]
    yield "sort_descending", lambda x: torch.sort(x, dim=-1, descending=True, stable=True), [with_ties]
    yield "sort_int64", lambda x: torch.sort(x, dim=-1, stable=True), [whole]
    yield "argsort", lambda x: torch.argsort(x, dim=0, stable=True), [x]
    yield "topk", lambda x: torch.topk(x, 3, dim=1), [x]
    yield "topk_smallest", lambda x: torch.topk(x, 2, dim=-1, largest=False), [x]
    yield "topk_long", lambda x: torch.topk(x, 5), [torch.randn(8, 3000)]
    yield "kthvalue", lambda x: torch.kthvalue(x, 4, dim=1), [x]
    yield "median", lambda x: torch.median(x, dim=1), [x]
    yield "median_keep", lambda x: x.median(dim=-1, keepdim=True).values, [x]
    yield "max_dim", lambda x: torch.max(x, 1), [x]
    yield "min_dim_keep", lambda x: torch.min(x, -1, keepdim=True), [with_ties]
    yield "max_int64", lambda x: x.max(1), [whole]
    yield "argmax", lambda x: x.argmax(-1), [x]
    yield "argmax_1", lambda x: x.argmax(1), [x]
    yield "argmin", lambda x: x.argmin(1, keepdim=True), [x]
    yield "argmin_int64", lambda x: x.argmin(-1), [whole]
    yield "argmax_all", lambda x: x.argmax().reshape(1).expand(8), [x]
    yield "cumsum", lambda x: x.cumsum(1), [x]
    yield "cumsum_int64", lambda x: x.cumsum(-1), [whole]
    yield "cumprod", lambda x: x.cumprod(-1), [x]
    yield "cummax", lambda x: torch.cummax(x, 1), [with_ties]
    yield "cummin", lambda x: torch.cummin(x, 0), [x]
    yield "logcumsumexp", lambda x: torch.logcumsumexp(x, 1), [x]
    yield "searchsorted", torch.searchsorted, [torch.sort(torch.randn(8, 11))[0], torch.randn(8, 5)]
    yield "searchsorted_right", lambda s, v: torch.searchsorted(s, v, right=True, out_int32=True), [torch.sort(torch.randint(0, 9, (8, 11)))[0], torch.randint(0, 9, (8, 5))]
    yield "bucketize", lambda x: torch.bucketize(x, torch.tensor([-1.0, 0.0, 0.5, 1.0])), [x]


def gradients():
    rows = torch.randint(0, 12, (16,))
    places = torch.randint(0, 6, (16, 1))
    yield "index_select", lambda w, r: w.index_select(0, r), [rows]
    yield "index", lambda w, r: w[r], [rows]
    yield "index_two", lambda w, r, p: w[r, p.squeeze(1)], [rows, places]
    yield "gather", lambda w, r, p: w[r].gather(1, p), [rows, places]
    yield "take_along_dim", lambda w, r, p: torch.take_along_dim(w[r], p, 1), [rows, places]
    yield "scatter", lambda w, r, p: w[r].scatter(1, p, 0.5), [rows, places]
    yield "scatter_src", lambda w, r, p: torch.zeros(16, 9).scatter(1, p, w[r][:, :1]), [rows, places]
    yield "scatter_add", lambda w, r, p: w[r].scatter_add(1, p, w[r][:, :1] * 2), [rows, places]
    yield "scatter_reduce", lambda w, r: torch.zeros(16, 6).scatter_reduce(0, r[:, None].expand(16, 6), w[r], "sum"), [rows]
    yield "index_add", lambda w, r: torch.zeros(12, 6).index_add(0, r, w[r]), [rows]
    yield "index_copy", lambda w, r: w[r].index_copy(0, torch.tensor([3, 1]), w[r][:2]), [rows]
    yield "index_put", lambda w, r: w[r].index_put((torch.tensor([3, 1]),), w[r][:2]), [rows]
    yield "index_fill", lambda w, r: w[r].index_fill(1, torch.tensor([3, 1]), 0.5), [rows]
    yield "sort", lambda w, r: w[r].sort(1).values * torch.arange(6), [rows]
    yield "topk", lambda w, r: w[r].topk(2, dim=1).values, [rows]
    yield "max", lambda w, r: w[r].max(1).values, [rows]
    yield "min", lambda w, r: w[r].min(0, keepdim=True).values, [rows]
    yield "median", lambda w, r: w[r].median(1).values, [rows]
    yield "kthvalue", lambda w, r: w[r].kthvalue(2, 1).values, [rows]
    yield "cumsum", lambda w, r: w[r].cumsum(1), [rows]
    yield "cummax", lambda w, r: w[r].cummax(1).values, [rows]
    yield "cummin", lambda w, r: w[r].cummin(0).values, [rows]
    yield "logcumsumexp", lambda w, r: w[r].logcumsumexp(1), [rows]
    yield "embedding_padding", lambda w, r: F.embedding(r, w, padding_idx=3), [rows]
    yield "one_hot", lambda w, r: F.one_hot(r, 12).float() @ w, [rows]
    yield "bag_offsets", lambda w, r: F.embedding_bag(r, w, torch.tensor([0, 3, 3, 9]), mode="sum"), [rows]
    yield "bag_padding", lambda w, r: F.embedding_bag(r.view(4, 4), w, mode="mean", padding_idx=7), [rows]
    yield "bag_weights", lambda w, r, p: F.embedding_bag(r.view(4, 4), w, mode="sum", per_sample_weights=p.float().view(4, 4)), [rows, places]


def rows():
    for name, function, inputs in [*taking(), *scattering(), *ordering()]:
        yield Row(f"indexing.{name}", function if isinstance(function, nn.Module) else Do(function), inputs)
    for name, function, inputs in gradients():
        yield Row(f"indexing.grad.{name}", Loss(function), inputs, train=True)
    x = torch.randint(0, 40, (16, 8))
    yield Row("indexing.tied", Tied(), [x, torch.randint(0, 40, (16, 8))], train=True)
    yield Row("indexing.tied_dynamic", Tied(), [x, torch.randint(0, 40, (16, 8))], train=True, dynamic=True, options=("--batch", "16"))
    for mode in ("sum", "mean"):
        yield Row(f"indexing.bag_{mode}", Bags(mode), [torch.randint(0, 30, (16, 5)), torch.randn(16, 8)], train=True)
