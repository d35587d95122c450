"""The sentence encoder all-MiniLM-L6-v2, with the parameter names of its published weights: a BERT of 6 layers, mean pooling."""

import torch
from torch import nn
from torch.nn import functional as F


class Named(nn.Module):
    """Modules under the names that the published weights have."""

    def __init__(module, /, **parts):  # one of the names is "self"
        super(Named, module).__init__()
        for name, part in parts.items():
            module.add_module(name, part)


class Layer(nn.Module):
    def __init__(self, width, heads, wide):
        super().__init__()
        self.heads = heads
        projections = {name: nn.Linear(width, width) for name in ("query", "key", "value")}
        attended = Named(dense=nn.Linear(width, width), LayerNorm=nn.LayerNorm(width, eps=1e-12))
        self.attention = Named(self=Named(**projections), output=attended)
        self.intermediate = Named(dense=nn.Linear(width, wide))
        self.output = Named(dense=nn.Linear(wide, width), LayerNorm=nn.LayerNorm(width, eps=1e-12))

    def forward(self, x, mask):
        b, t, c = x.shape
        part = getattr(self.attention, "self")
        q, k, v = (f(x).view(b, t, self.heads, c // self.heads).transpose(1, 2) for f in (part.query, part.key, part.value))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(b, t, c)
        x = self.attention.output.LayerNorm(self.attention.output.dense(y) + x)
        return self.output.LayerNorm(self.output.dense(F.gelu(self.intermediate.dense(x))) + x)


class Encoder(nn.Module):
    def __init__(self, words=30522, width=384, heads=12, wide=1536, layers=6, places=512):
        super().__init__()
        self.embeddings = Named(
            word_embeddings=nn.Embedding(words, width),
            position_embeddings=nn.Embedding(places, width),
            token_type_embeddings=nn.Embedding(2, width),
            LayerNorm=nn.LayerNorm(width, eps=1e-12),
        )
        self.encoder = Named(layer=nn.ModuleList(Layer(width, heads, wide) for _ in range(layers)))

    def forward(self, ids, mask):
        e = self.embeddings
        places = torch.arange(ids.size(1), device=ids.device)
        x = e.LayerNorm(e.word_embeddings(ids) + e.token_type_embeddings(torch.zeros_like(ids)) + e.position_embeddings(places))
        for layer in self.encoder.layer:
            x = layer(x, (mask != 0)[:, None, None, :])
        weight = mask.unsqueeze(-1).float()
        return F.normalize((x * weight).sum(1) / weight.sum(1).clamp(min=1e-9), dim=1)
