"""Small models of text, a byte at a time: a GPT, a Llama, an LSTM and a GRU. 64 bytes in, scores of the byte after each out."""

import torch
from torch import nn
from torch.nn import functional as F

BYTES = 128  # ASCII
LENGTH = 64


class Attention(nn.Module):
    """Causal; with `groups` fewer heads of keys and values than of queries, and rotary positions if `rotary`."""

    def __init__(self, width, heads, groups, rotary=False):
        super().__init__()
        self.heads, self.groups, self.depth, self.rotary = heads, groups, width // heads, rotary
        self.queries = nn.Linear(width, width, bias=not rotary)
        self.keys_values = nn.Linear(width, 2 * groups * self.depth, bias=not rotary)
        self.out = nn.Linear(width, width, bias=not rotary)

    def rotate(self, x):
        half = self.depth // 2
        frequency = 10000.0 ** (-torch.arange(half, device=x.device) / half)
        angle = torch.outer(torch.arange(x.size(2), device=x.device), frequency)
        cos, sin = torch.cat((angle, angle), -1).cos(), torch.cat((angle, angle), -1).sin()
        return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin

    def forward(self, x):
        b, t, c = x.shape
        q = self.queries(x).view(b, t, self.heads, self.depth).transpose(1, 2)
        k, v = self.keys_values(x).view(b, t, 2 * self.groups, self.depth).transpose(1, 2).chunk(2, dim=1)
        if self.rotary:
            q, k = self.rotate(q), self.rotate(k)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.groups != self.heads)
        return self.out(y.transpose(1, 2).reshape(b, t, c))


class GptBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.before, self.attention = nn.LayerNorm(width), Attention(width, heads, heads)
        self.between, self.wide, self.narrow = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attention(self.before(x))
        return x + self.narrow(F.gelu(self.wide(self.between(x))))


class Gpt(nn.Module):
    def __init__(self, width=64, heads=4, layers=2, length=LENGTH):
        super().__init__()
        self.bytes, self.places = nn.Embedding(BYTES, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(GptBlock(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, BYTES, bias=False)
        self.head.weight = self.bytes.weight

    def forward(self, text):
        x = self.bytes(text) + self.places(torch.arange(text.size(1), device=text.device))
        return self.head(self.norm(self.blocks(x)))


class LlamaBlock(nn.Module):
    def __init__(self, width, heads, groups):
        super().__init__()
        self.before, self.attention = nn.RMSNorm(width), Attention(width, heads, groups, rotary=True)
        self.between, self.gate, self.up, self.down = nn.RMSNorm(width), *(nn.Linear(*size, bias=False) for size in ((width, 3 * width), (width, 3 * width), (3 * width, width)))

    def forward(self, x):
        x = x + self.attention(self.before(x))
        y = self.between(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    def __init__(self, width=64, heads=4, groups=2, layers=2):
        super().__init__()
        self.bytes = nn.Embedding(BYTES, width)
        self.blocks = nn.Sequential(*(LlamaBlock(width, heads, groups) for _ in range(layers)))
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, BYTES, bias=False)

    def forward(self, text):
        return self.head(self.norm(self.blocks(self.bytes(text))))


class Recurrent(nn.Module):
    def __init__(self, kind, width=64, layers=2):
        super().__init__()
        self.bytes, self.layers, self.head = nn.Embedding(BYTES, width), kind(width, width, layers, batch_first=True), nn.Linear(width, BYTES)

    def forward(self, text):
        return self.head(self.layers(self.bytes(text))[0])


MODELS = {"gpt": Gpt, "gpt10m": lambda: Gpt(384, 6, 6, 256), "llama": Llama, "lstm": lambda: Recurrent(nn.LSTM), "gru": lambda: Recurrent(nn.GRU)}


class Training(nn.Module):
    """What a training program is: data in, loss out. A row holds one byte more than the model reads."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, text):
        scores = self.model(text[:, :-1])
        return F.cross_entropy(scores.reshape(-1, BYTES), text[:, 1:].reshape(-1))
