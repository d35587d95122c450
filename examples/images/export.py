#!/usr/bin/env python3
"""Exports the two programs of this example. Needs the PyTorch of ../digits/export.lock; Cairn itself needs no Python."""

import pathlib

import torch

from model import Images, Prediction, Training

HERE = pathlib.Path(__file__).parent


def export(path, module, example):
    batch = torch.export.Dim("batch", min=2, max=65536)
    torch.export.save(torch.export.export(module, example, dynamic_shapes=tuple({0: batch} for _ in example)), path)


if __name__ == "__main__":
    with torch.device("meta"):  # no weights in the files: they start from the job's seed
        net = Images()
        x, y = torch.zeros(64, 64), torch.zeros(64, dtype=torch.int64)
    export(HERE / "train.pt2", Training(net).train(), (x, y))
    export(HERE / "predict.pt2", Prediction(net).eval(), (x,))
