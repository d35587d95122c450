#!/usr/bin/env python3
"""Exports the two programs of this example and writes its data.

    python3 export.py [digits.csv]

Without an argument only the programs are exported. Needs the PyTorch of export.lock; Cairn itself needs no Python.
"""

import json
import pathlib
import struct
import sys

import torch

from model import Digits, Prediction, Training

HERE = pathlib.Path(__file__).parent
TRAIN_ROWS = 1437  # the first rows; the rest, 360, are held out


def export(path, module, example):
    batch = torch.export.Dim("batch", min=2, max=65536)
    shapes = tuple({0: batch} for _ in example)
    torch.export.save(torch.export.export(module, example, dynamic_shapes=shapes), path)


def save_tensors(path, tensors):
    """safetensors: length of the header, the header as JSON, then the bytes of the tensors in its order."""
    names = {torch.float32: "F32", torch.int64: "I64"}
    header, offset = {}, 0
    for name, tensor in tensors.items():
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.contiguous().numpy().tobytes())


def main():
    with torch.device("meta"):  # no weights in the files: they start from the job's seed
        model = Digits()
        x, y = torch.zeros(64, 64), torch.zeros(64, dtype=torch.int64)
    export(HERE / "train.pt2", Training(model).train(), (x, y))
    export(HERE / "predict.pt2", Prediction(model).eval(), (x,))
    if len(sys.argv) > 1:
        rows = [[int(v) for v in line.split(",")] for line in open(sys.argv[1], encoding="ascii")]
        table = torch.tensor(rows, dtype=torch.int64)
        x, y = table[:, :64].float() / 16, table[:, 64]
        save_tensors(HERE / "train.safetensors", {"x": x[:TRAIN_ROWS], "y": y[:TRAIN_ROWS]})
        save_tensors(HERE / "test.safetensors", {"x": x[TRAIN_ROWS:], "y": y[TRAIN_ROWS:]})


if __name__ == "__main__":
    main()
