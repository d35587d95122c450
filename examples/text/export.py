#!/usr/bin/env python3
"""Exports the training programs of this example and writes its data.

    python3 export.py [/usr/share/common-licenses/GPL-3]

Without an argument only the programs are exported. Needs the PyTorch of ../digits/export.lock and its safetensors.
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file

from model import LENGTH, MODELS, Training

HERE = pathlib.Path(__file__).parent


def main():
    for name, model in MODELS.items():
        with torch.device("meta"):  # no weights in the files: they start from the job's seed
            program = Training(model()).train()
            text = torch.zeros(16, (256 if name == "gpt10m" else LENGTH) + 1, dtype=torch.int64)
        batch = torch.export.Dim("batch", min=2, max=65536)
        torch.export.save(torch.export.export(program, (text,), dynamic_shapes=({0: batch},)), HERE / f"{name}.pt2")
    if len(sys.argv) > 1:
        text = torch.tensor(list(pathlib.Path(sys.argv[1]).read_bytes()), dtype=torch.int64)
        rows = text[: len(text) // (LENGTH + 1) * (LENGTH + 1)].view(-1, LENGTH + 1)
        save_file({"text": rows.contiguous()}, HERE / "text.safetensors")


if __name__ == "__main__":
    main()
