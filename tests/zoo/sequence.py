"""Products of higher ranks, attention, norms of language models, recurrence."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from zoo import Row


class Do(nn.Module):
    """A function of its inputs as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


class Learn(nn.Module):
    """The loss of a module whose inputs pass through a linear layer first, so that a gradient flows into each of them."""

    def __init__(self, module, *widths):
        super().__init__()
        self.module = module
        self.layers = nn.ModuleList(nn.Linear(w, w) for w in widths)

    def forward(self, *inputs):
        inputs = [*(layer(x) for layer, x in zip(self.layers, inputs)), *inputs[len(self.layers):]]
        out = self.module(*inputs)
        return sum((x * x).mean() for x in ([out] if isinstance(out, torch.Tensor) else out))


def attend(**options):
    return Do(lambda q, k, v, *mask: F.scaled_dot_product_attention(q, k, v, *mask, **options))


class ByHand(nn.Module):
    """Causal attention as people write it out."""

    def __init__(self, width, heads, dropout=0.0):
        super().__init__()
        self.qkv, self.out, self.heads, self.dropout = nn.Linear(width, 3 * width), nn.Linear(width, width), heads, nn.Dropout(dropout)
        self.register_buffer("mask", torch.tril(torch.ones(64, 64)).view(1, 1, 64, 64), persistent=False)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, c // self.heads).transpose(1, 2) for y in self.qkv(x).split(c, dim=2))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = F.softmax(att.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf")), dim=-1)
        return self.out((self.dropout(att) @ v).transpose(1, 2).reshape(b, t, c))


class Block(nn.Module):
    """A block of GPT: layer norm, fused causal attention, GELU."""

    def __init__(self, width, heads, dropout=0.0):
        super().__init__()
        self.heads, self.p = heads, dropout
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout))

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, self.heads, c // self.heads).transpose(1, 2) for y in self.qkv(self.ln1(x)).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=self.p if self.training else 0.0)
        x = x + self.out(y.transpose(1, 2).contiguous().view(b, t, c))
        return x + self.mlp(self.ln2(x))


class RmsByHand(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


def rotate(x, cos, sin):
    half = x.size(-1) // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


class Llama(nn.Module):
    """A block of Llama: RMS norm, rotary positions, grouped queries, SwiGLU."""

    def __init__(self, width=32, heads=4, groups=2):
        super().__init__()
        self.heads, self.groups, self.depth = heads, groups, width // heads
        self.n1, self.n2 = RmsByHand(width), nn.RMSNorm(width)
        self.q, self.o = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.k, self.v = (nn.Linear(width, groups * self.depth, bias=False) for _ in range(2))
        self.w1, self.w3, self.w2 = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, 3 * width, bias=False), nn.Linear(3 * width, width, bias=False)

    def forward(self, x):
        b, t, c = x.shape
        angle = torch.outer(torch.arange(t).float(), 10000.0 ** (-torch.arange(0, self.depth, 2).float() / self.depth))
        cos, sin = torch.cat((angle, angle), -1).cos(), torch.cat((angle, angle), -1).sin()
        y = self.n1(x)
        q, k, v = (f(y).view(b, t, -1, self.depth).transpose(1, 2) for f in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).reshape(b, t, c))
        y = self.n2(x)
        return x + self.w2(F.silu(self.w1(y)) * self.w3(y))


class Last(nn.Module):
    """A recurrent layer's outputs and last states."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, *state):
        y, last = self.layer(x, *state)
        return y, *(last if isinstance(last, tuple) else (last,))


class Cells(nn.Module):
    def __init__(self, cell, steps):
        super().__init__()
        self.cell, self.steps = cell, steps

    def forward(self, x):
        state = None
        for t in range(self.steps):
            state = self.cell(x[:, t], state)
        return state


def rows():
    r = torch.randn
    for name, function, inputs in [
        ("bmm", torch.bmm, [r(5, 7, 9), r(5, 9, 11)]),
        ("bmm_transposed", lambda a, b: a.transpose(1, 2) @ b.transpose(1, 2), [r(5, 9, 7), r(5, 11, 9)]),
        ("matmul_4d", torch.matmul, [r(2, 3, 7, 9), r(2, 3, 9, 5)]),
        ("matmul_broadcast", torch.matmul, [r(2, 3, 7, 9), r(3, 9, 5)]),
        ("matmul_vector", torch.matmul, [r(4, 7, 9), r(9)]),
        ("vector_matmul", torch.matmul, [r(9), r(4, 9, 7)]),
        ("einsum_scores", lambda a, b: torch.einsum("bthd,bshd->bhts", a, b), [r(2, 7, 3, 5), r(2, 9, 3, 5)]),
        ("einsum_values", lambda a, b: torch.einsum("bhts,bshd->bthd", a, b), [r(2, 3, 7, 9), r(2, 9, 3, 5)]),
        ("einsum_bilinear", lambda a, b, c: torch.einsum("bi,ijk,bk->bj", a, b, c), [r(4, 5), r(5, 6, 7), r(4, 7)]),
        ("baddbmm", lambda c, a, b: torch.baddbmm(c, a, b, beta=0.5, alpha=2.0), [r(4, 7, 5), r(4, 7, 9), r(4, 9, 5)]),
        ("addbmm", torch.addbmm, [r(7, 5), r(4, 7, 9), r(4, 9, 5)]),
        ("addmm_scaled", lambda c, a, b: torch.addmm(c, a, b, beta=0.5, alpha=2.0), [r(7, 5), r(7, 9), r(9, 5)]),
        ("addmv", torch.addmv, [r(7), r(7, 9), r(9)]),
        ("mv", torch.mv, [r(7, 9), r(9)]),
        ("dot", torch.dot, [r(99), r(99)]),
        ("outer", torch.outer, [r(7), r(9)]),
        ("tensordot", lambda a, b: torch.tensordot(a, b, dims=2), [r(3, 4, 5), r(4, 5, 6)]),
        ("bilinear", F.bilinear, [r(4, 5), r(4, 6), r(7, 5, 6)]),
    ]:
        yield Row(f"sequence.{name}", Do(function), inputs)
    yield Row("sequence.linear_3d", nn.Linear(9, 5), [r(4, 7, 9)])
    yield Row("sequence.bmm_train", Learn(Do(torch.bmm), 9, 11), [r(5, 7, 9), r(5, 9, 11)], train=True)
    yield Row("sequence.matmul_broadcast_train", Learn(Do(torch.matmul), 9, 5), [r(2, 3, 7, 9), r(3, 9, 5)], train=True)

    q, k, v = r(2, 4, 10, 8), r(2, 4, 12, 8), r(2, 4, 12, 6)
    few_k, few_v = r(2, 2, 12, 8), r(2, 2, 12, 6)
    boolean, additive = torch.rand(10, 12) > 0.3, r(2, 1, 10, 12)
    boolean[3] = False
    for name, options, inputs in [
        ("plain", {}, [q, k, v]),
        ("causal", {"is_causal": True}, [q, k, v]),
        ("scaled", {"scale": 0.1}, [q, k, v]),
        ("grouped", {"enable_gqa": True}, [q, few_k, few_v]),
        ("boolean_mask", {}, [q, k, v, boolean]),
        ("additive_mask", {}, [q, k, v, additive]),
        ("three_dimensions", {}, [q[0], k[0], v[0]]),
        ("long", {"is_causal": True}, [r(1, 2, 600, 16), r(1, 2, 600, 16), r(1, 2, 600, 16)]),
    ]:
        yield Row(f"sequence.attention_{name}", attend(**options), inputs)
        # A row that is masked whole has no gradient in PyTorch either, but another NaN.
        if name != "boolean_mask":
            yield Row(f"sequence.attention_{name}_train", Learn(attend(**options), *(x.size(-1) for x in inputs[:3])), inputs, train=True)
    padded = (torch.arange(12) < torch.tensor([[12], [7]])).view(2, 1, 1, 12)
    yield Row("sequence.attention_padding_train", Learn(attend(), 8, 8, 6), [q, k, v, padded], train=True)
    yield Row("sequence.attention_learned_bias_train", Learn(attend(), 8, 8, 6, 12), [q, k, v, r(1, 4, 10, 12)], train=True)
    yield Row("sequence.attention_by_hand", ByHand(24, 3), [r(2, 10, 24)])
    yield Row("sequence.attention_by_hand_train", Learn(ByHand(24, 3), 24), [r(2, 10, 24)], train=True)
    yield Row("sequence.multihead", Do(nn.MultiheadAttention(24, 3, batch_first=True)), [r(2, 10, 24)] * 3)
    yield Row("sequence.gpt_block", Block(24, 3), [r(2, 10, 24)])
    yield Row("sequence.gpt_block_train", Learn(Block(24, 3), 24), [r(2, 10, 24)], train=True)
    yield Row("sequence.llama_block", Llama(), [r(2, 10, 32)])
    yield Row("sequence.llama_block_train", Learn(Llama(), 32), [r(2, 10, 32)], train=True)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(24, 3, 48, dropout=0.0, batch_first=True), 2)
    yield Row("sequence.encoder", encoder, [r(2, 10, 24)])
    yield Row("sequence.encoder_train", Learn(encoder, 24), [r(2, 10, 24)], train=True)
    yield Row("sequence.encoder_norm_first_train", Learn(nn.TransformerEncoderLayer(24, 3, 48, dropout=0.0, activation="gelu", norm_first=True), 24), [r(10, 2, 24)], train=True)
    decoder = nn.TransformerDecoderLayer(24, 3, 48, dropout=0.0, batch_first=True)
    yield Row("sequence.decoder_train", Learn(decoder, 24, 24), [r(2, 10, 24), r(2, 7, 24)], train=True)

    yield Row("sequence.rms_norm", nn.RMSNorm(9), [r(4, 7, 9)])
    yield Row("sequence.rms_norm_plain", nn.RMSNorm((7, 9), elementwise_affine=False, eps=1e-3), [r(4, 7, 9)])
    yield Row("sequence.rms_norm_train", Learn(nn.RMSNorm(9), 9), [r(4, 7, 9)], train=True)
    yield Row("sequence.rms_norm_by_hand_train", Learn(RmsByHand(9), 9), [r(4, 7, 9)], train=True)

    x = r(5, 4, 6)  # (batch, time, features) or (time, batch, features)
    for name, layer in [
        ("lstm", nn.LSTM(6, 7)),
        ("lstm_batch_first", nn.LSTM(6, 7, batch_first=True)),
        ("lstm_deep", nn.LSTM(6, 7, num_layers=2, bidirectional=True)),
        ("lstm_no_bias", nn.LSTM(6, 7, bias=False)),
        ("gru", nn.GRU(6, 7)),
        ("gru_deep", nn.GRU(6, 7, num_layers=2, bidirectional=True, batch_first=True)),
        ("rnn_tanh", nn.RNN(6, 7)),
        ("rnn_relu", nn.RNN(6, 7, num_layers=2, nonlinearity="relu", bidirectional=True)),
    ]:
        yield Row(f"sequence.{name}", Last(layer), [x])
        yield Row(f"sequence.{name}_train", Learn(Last(layer), 6), [x], train=True)
    yield Row("sequence.lstm_states_train", Learn(Do(lambda x, h, c, m=nn.LSTM(6, 7): m(x, (h, c))[0]), 6, 7, 7), [x, r(1, 4, 7), r(1, 4, 7)], train=True)
    for name, cell in [("lstm_cell", nn.LSTMCell(6, 7)), ("gru_cell", nn.GRUCell(6, 7)), ("rnn_cell", nn.RNNCell(6, 7))]:
        yield Row(f"sequence.{name}_train", Learn(Cells(cell, 4), 6), [x], train=True)
