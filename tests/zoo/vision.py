"""Convolution, pooling, normalisation by channel, resampling."""

import sys
import pathlib

import torch
from torch import nn
from torch.nn import functional as F

from zoo import Row

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "images"))
import model  # noqa: E402  the network of examples/images


def loss(y):
    """Not the square alone, of which a normalised value has no gradient."""
    y = torch.tanh(y + 0.5)
    return (y * y).mean()


class Loss(nn.Module):

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return loss(self.net(x))


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class After(nn.Module):
    """A function of what a layer gives, so that its gradient is taken too."""

    def __init__(self, layer, function):
        super().__init__()
        self.layer = layer
        self.function = function

    def forward(self, x):
        return loss(self.function(self.layer(x)))


class Running(nn.Module):
    """Batch norm as a function over buffers of one's own, without a counter."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels))
        self.bias = nn.Parameter(torch.randn(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))

    def forward(self, x):
        return F.batch_norm(x, self.mean, self.var, self.weight, self.bias, training=True, momentum=0.2)


class Unet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.ReLU())
        self.deep = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.InstanceNorm2d(16, affine=True), nn.ReLU())
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x = self.down(x)
        return self.out(x + self.up(self.deep(x)))


class Autoencoder1d(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(4, 12, 5, stride=2, padding=2), nn.BatchNorm1d(12), nn.ReLU(),
                                 nn.ConvTranspose1d(12, 4, 5, stride=2, padding=2, output_padding=1))

    def forward(self, x):
        return self.net(x)


class Video(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv3d(2, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(6, 4, (1, 3, 3), stride=(1, 2, 2)),
                                 nn.AvgPool3d((2, 1, 1)), nn.AdaptiveAvgPool3d(1), nn.Flatten())

    def forward(self, x):
        return self.net(x)


def separable():
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
                         nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))


def rows():
    image, line, volume = torch.randn(4, 3, 16, 12), torch.randn(4, 4, 30), torch.randn(3, 2, 6, 9, 8)
    convolutions = {
        "conv2d": nn.Conv2d(3, 10, 3, padding=1),
        "conv2d_stride": nn.Conv2d(3, 10, (3, 2), stride=(2, 3), padding=(1, 0), bias=False),
        "conv2d_dilation": nn.Conv2d(3, 6, 3, dilation=2, padding=2),
        "conv2d_groups": nn.Conv2d(3, 9, 3, groups=3),
        "conv2d_same": nn.Conv2d(3, 5, 3, padding="same"),
        "conv2d_valid": nn.Conv2d(3, 5, (5, 1), padding="valid"),
        "conv2d_1x1": nn.Conv2d(3, 7, 1),
        "conv2d_1x1_stride": nn.Conv2d(3, 7, 1, stride=2),
        "conv2d_sparse": nn.Conv2d(3, 4, 2, stride=5),
        "transposed2d": nn.ConvTranspose2d(3, 6, 3, stride=2, padding=1, output_padding=1),
        "transposed2d_groups": nn.ConvTranspose2d(3, 6, 3, groups=3, dilation=2, bias=False),
        "transposed2d_apart": nn.ConvTranspose2d(3, 6, 2, stride=3),
    }
    for name, layer in convolutions.items():
        yield Row(f"vision.{name}", layer, [image])
        yield Row(f"vision.{name}_train", Loss(nn.Sequential(nn.Conv2d(3, 3, 1), layer)), [image], train=True)
    yield Row("vision.conv2d_one_image", nn.Conv2d(3, 10, 3), [image[:1]])
    yield Row("vision.conv1d_train", Loss(Autoencoder1d()), [line], train=True)
    yield Row("vision.conv1d", Autoencoder1d(), [line])
    yield Row("vision.conv3d_train", Loss(Video()), [volume], train=True)
    yield Row("vision.conv3d", Video(), [volume])
    for name, layer, data in (("conv1d", Autoencoder1d(), line), ("conv3d", Video(), volume), ("transposed3d", nn.ConvTranspose3d(2, 4, (2, 3, 2), stride=2, groups=2), volume)):
        yield Row(f"vision.{name}_int3_train", Loss(layer), [data], train=True, limit=1e-4, options=("--numeric", "int3"))
    yield Row("vision.transposed3d_train", Loss(nn.ConvTranspose3d(2, 3, 2, stride=2)), [volume], train=True)

    normal = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.BatchNorm2d(6, affine=False), nn.BatchNorm2d(6, track_running_stats=False))
    yield Row("vision.batch_norm_train", Loss(normal), [image], train=True, steps=10)
    yield Row("vision.batch_norm_function_train", Loss(nn.Sequential(nn.Conv2d(3, 6, 3), Running(6), nn.ReLU(), nn.BatchNorm2d(6, track_running_stats=False))), [image],
              train=True, steps=10)
    yield Row("vision.batch_norm", normal, [image])
    yield Row("vision.batch_norm1d_train", Loss(nn.Sequential(nn.Linear(30, 20), nn.BatchNorm1d(4, affine=False), nn.Flatten(), nn.Linear(80, 9), nn.BatchNorm1d(9, momentum=0.3))),
              [line], train=True, steps=10)
    yield Row("vision.group_norm_train", Loss(nn.Sequential(nn.Conv2d(3, 6, 3), nn.GroupNorm(2, 6), nn.ReLU(), nn.GroupNorm(6, 6, affine=False))), [image], train=True)
    yield Row("vision.instance_norm_train", Loss(nn.Sequential(nn.Conv2d(3, 6, 3), nn.InstanceNorm2d(6), nn.ReLU(), nn.InstanceNorm2d(6, affine=True))), [image], train=True)
    yield Row("vision.local_response_norm", nn.LocalResponseNorm(2), [image])

    functions = {
        "max_pool2d": lambda x: F.max_pool2d(x, 2),
        "max_pool2d_ceil": lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
        "max_pool2d_dilation": lambda x: F.max_pool2d(x, (2, 3), stride=1, dilation=2),
        "avg_pool2d": lambda x: F.avg_pool2d(x, 3, 2, 1),
        "avg_pool2d_inside": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
        "avg_pool2d_divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=3),
        "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, (5, 7)),
        "adaptive_avg_pool2d_one": lambda x: F.adaptive_avg_pool2d(x, 1),
        "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, (5, 7)),
        "nearest2d": lambda x: F.interpolate(x, scale_factor=2),
        "nearest2d_size": lambda x: F.interpolate(x, size=(21, 7)),
        "nearest2d_exact": lambda x: F.interpolate(x, size=(21, 7), mode="nearest-exact"),
        "bilinear2d": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        "bilinear2d_corners": lambda x: F.interpolate(x, size=(9, 31), mode="bilinear", align_corners=True),
        "bilinear2d_smaller": lambda x: F.interpolate(x, scale_factor=0.6, mode="bilinear"),
        "unfold": lambda x: F.unfold(x, 3, padding=1, stride=2),
        "fold": lambda x: F.fold(F.unfold(x, (3, 2)), (16, 12), (3, 2)),
        "pixel_shuffle": lambda x: F.pixel_unshuffle(F.pixel_shuffle(x.repeat(1, 4, 1, 1), 2), 4),
    }
    for name, function in functions.items():
        yield Row(f"vision.{name}", Apply(function), [image])
        yield Row(f"vision.{name}_train", After(nn.Conv2d(3, 3, 1), function), [image], train=True)
    lines = {
        "max_pool1d": lambda x: F.max_pool1d(x, 3, 2, 1),
        "avg_pool1d": lambda x: F.avg_pool1d(x, 3, 2, 1),
        "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x, 7),
        "adaptive_max_pool1d": lambda x: F.adaptive_max_pool1d(x, 7),
        "nearest1d": lambda x: F.interpolate(x, size=41),
        "linear1d": lambda x: F.interpolate(x, size=41, mode="linear"),
    }
    for name, function in lines.items():
        yield Row(f"vision.{name}", Apply(function), [line])
        yield Row(f"vision.{name}_train", After(nn.Conv1d(4, 4, 1), function), [line], train=True)

    yield Row("vision.unet_train", Loss(Unet()), [torch.randn(4, 3, 16, 16)], train=True)
    yield Row("vision.unet", Unet(), [torch.randn(4, 3, 16, 16)])
    yield Row("vision.separable_train", Loss(separable()), [image], train=True, steps=10)
    yield Row("vision.separable", separable(), [image])

    # The example without dropout, whose mask is Cairn's own.
    pixels, digits = torch.rand(16, 64), torch.randint(0, 10, (16,))
    yield Row("vision.images_train", model.Training(model.Images(dropout=0.0)), [pixels, digits], train=True, steps=10)
    yield Row("vision.images", model.Prediction(model.Images()), [pixels])
