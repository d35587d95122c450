"""Losses, dropout where it is off, optimizers and their schedules against PyTorch's own loops."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from zoo import Row


class Loss(nn.Module):
    def __init__(self, function, out=7, batch=None):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, out))
        self.function = function
        self.batch = batch  # of `out` scores as (classes, places)

    def forward(self, x, y):
        scores = self.net(x)
        return self.function(scores.unflatten(1, self.batch) if self.batch else scores, y)


def mlp_loss():
    torch.manual_seed(3)
    return Loss(F.cross_entropy)


def loop_of(make, micro=1, clip=None, schedule=None):
    """PyTorch's loop; micro: parts of the batch whose gradients are averaged."""

    def loop(module, inputs, steps):
        optimizer = make(module.parameters())
        scheduler = schedule and torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            total = 0.0
            for part in zip(*(tensor.chunk(micro) for tensor in inputs)):
                loss = module(*part) / micro
                loss.backward()
                total += loss.item()
            if clip:
                torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
            optimizer.step()
            if scheduler:
                scheduler.step()
            losses.append(total)
        return losses

    return loop


def rows():
    x, classes = torch.randn(32, 20), torch.randint(0, 7, (32,))
    weight = torch.linspace(0.3, 2.0, 7)
    some = classes.clone()
    some[::3] = -100
    probabilities = torch.rand(32, 7).softmax(1)
    for name, function, y in [
        ("cross_entropy", F.cross_entropy, classes),
        ("cross_entropy_sum", lambda s, t: F.cross_entropy(s, t, reduction="sum") / 32, classes),
        ("cross_entropy_none", lambda s, t: F.cross_entropy(s, t, reduction="none").mean(), classes),
        ("cross_entropy_ignored", F.cross_entropy, some),
        ("cross_entropy_weights", lambda s, t: F.cross_entropy(s, t, weight=weight), classes),
        ("cross_entropy_weights_ignored", lambda s, t: F.cross_entropy(s, t, weight=weight), some),
        ("cross_entropy_smooth", lambda s, t: F.cross_entropy(s, t, label_smoothing=0.1), classes),
        ("cross_entropy_smooth_ignored", lambda s, t: F.cross_entropy(s, t, label_smoothing=0.1), some),
        ("cross_entropy_smooth_weights", lambda s, t: F.cross_entropy(s, t, weight=weight, label_smoothing=0.1), some),
        ("cross_entropy_smooth_none", lambda s, t: F.cross_entropy(s, t, label_smoothing=0.1, reduction="none").mean(), some),
        ("cross_entropy_probabilities", F.cross_entropy, probabilities),
        ("cross_entropy_probabilities_smooth", lambda s, t: F.cross_entropy(s, t, weight=weight, label_smoothing=0.1), probabilities),
        ("nll_loss", lambda s, t: F.nll_loss(F.log_softmax(s, 1), t), classes),
        ("kl_div", lambda s, t: F.kl_div(F.log_softmax(s, 1), t, reduction="batchmean"), probabilities),
        ("kl_div_log", lambda s, t: F.kl_div(F.log_softmax(s, 1), t, reduction="batchmean", log_target=True), probabilities.log()),
        ("multi_label_soft_margin", F.multilabel_soft_margin_loss, (probabilities > 0.14).float()),
    ]:
        yield Row(f"training.{name}", Loss(function), [x, y], train=True)
    yield Row("training.cross_entropy_1d", Loss(F.cross_entropy, 35, (7, 5)), [x, torch.randint(0, 7, (32, 5))], train=True)
    yield Row("training.cross_entropy_2d", Loss(lambda s, t: F.cross_entropy(s.unflatten(2, (5, 3)), t), 105, (7, 15)), [x, torch.randint(0, 7, (32, 5, 3))], train=True)
    yield Row("training.cross_entropy_2d_weights", Loss(lambda s, t: F.cross_entropy(s.unflatten(2, (5, 3)), t, weight=weight, label_smoothing=0.1), 105, (7, 15)),
              [x, torch.randint(0, 7, (32, 5, 3))], train=True)
    target, positive = torch.randn(32, 3), torch.rand(32, 3)
    for name, function, y in [
        ("mse", F.mse_loss, target), ("mse_sum", lambda s, t: F.mse_loss(s, t, reduction="sum") / 32, target), ("l1", F.l1_loss, target),
        ("huber", F.huber_loss, target), ("huber_delta", lambda s, t: F.huber_loss(s, t, delta=0.4), target), ("smooth_l1", F.smooth_l1_loss, target),
        ("smooth_l1_beta", lambda s, t: F.smooth_l1_loss(s, t, beta=0.4, reduction="sum") / 32, target),
        ("mse_none", lambda s, t: (F.mse_loss(s, t, reduction="none") * t.abs()).mean(), target),
        ("bce", lambda s, t: F.binary_cross_entropy(torch.sigmoid(s), t), positive),
        ("bce_weight", lambda s, t: F.binary_cross_entropy(torch.sigmoid(s), t, weight=torch.tensor([0.5, 1.0, 2.0])), positive),
        ("bce_logits", F.binary_cross_entropy_with_logits, positive),
        ("bce_logits_weights", lambda s, t: F.binary_cross_entropy_with_logits(s, t, weight=torch.tensor([0.5, 1.0, 2.0]), pos_weight=torch.tensor([3.0, 1.0, 0.2])), positive),
        ("poisson_nll", F.poisson_nll_loss, positive),
        ("soft_margin", F.soft_margin_loss, target.sign()), ("cosine_embedding", lambda s, t: (1 - F.cosine_similarity(s, t)).mean(), target),
        ("margin_ranking", lambda s, t: F.margin_ranking_loss(s[:, 0], s[:, 1], t.sign()[:, 0], margin=0.3), target),
        ("triplet", lambda s, t: F.triplet_margin_loss(s, t, t.flip(0)), target),
    ]:
        yield Row(f"training.{name}", Loss(function, 3), [x, y], train=True)

    adam = ("--optimizer", "adam", "--lr", "0.01")
    for name, options, loop, limit in [
        ("adam", adam, loop_of(lambda p: torch.optim.Adam(p, 0.01)), 1e-5),
        ("adam_decay", (*adam, "--weight-decay", "0.1"), loop_of(lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1)), 1e-5),
        ("adamw", ("--optimizer", "adamw", "--lr", "0.01", "--weight-decay", "0.1"), loop_of(lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1)), 1e-5),
        ("momentum", ("--optimizer", "sgd", "--lr", "0.1", "--momentum", "0.9"), loop_of(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)), 1e-5),
        ("nesterov", ("--optimizer", "sgd", "--lr", "0.1", "--momentum", "0.9", "--nesterov", "--weight-decay", "0.01"),
         loop_of(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01)), 1e-5),
        ("clip", ("--optimizer", "sgd", "--lr", "0.5", "--clip-norm", "0.2"), loop_of(lambda p: torch.optim.SGD(p, 0.5), clip=0.2), 1e-5),
        ("accumulate", (*adam, "--accumulate", "4", "--batch", "8"), loop_of(lambda p: torch.optim.Adam(p, 0.01), micro=4), 1e-5),
        ("accumulate_clip", ("--optimizer", "sgd", "--lr", "0.5", "--accumulate", "4", "--batch", "8", "--clip-norm", "0.2"),
         loop_of(lambda p: torch.optim.SGD(p, 0.5), micro=4, clip=0.2), 1e-5),
        ("warmup", (*adam, "--warmup", "4"), loop_of(lambda p: torch.optim.Adam(p, 0.01), schedule=lambda s: min(1, (s + 1) / 4)), 1e-5),
        ("linear", (*adam, "--warmup", "2", "--schedule", "linear"),
         loop_of(lambda p: torch.optim.Adam(p, 0.01), schedule=lambda s: (s + 1) / 2 if s < 2 else (12 - s) / 10), 1e-5),
        ("cosine", (*adam, "--warmup", "2", "--schedule", "cosine"),
         loop_of(lambda p: torch.optim.Adam(p, 0.01), schedule=lambda s: (s + 1) / 2 if s < 2 else 0.5 * (1 + math.cos(math.pi * (s - 2) / 10))), 1e-5),
        ("step", ("--optimizer", "sgd", "--lr", "0.5", "--schedule", "step", "--decay-every", "4", "--decay-factor", "0.5"),
         loop_of(lambda p: torch.optim.SGD(p, 0.5), schedule=lambda s: 0.5 ** (s // 4)), 1e-5),
    ]:
        # Rows are shuffled, so that parts of a batch are other rows than PyTorch's; the mean over all of them is the same.
        yield Row(f"training.{name}", mlp_loss(), [x, classes], train=True, dynamic=True, steps=12, limit=2e-5, loop=loop,
                  options=options if "--batch" in options else (*options, "--batch", "32"))
