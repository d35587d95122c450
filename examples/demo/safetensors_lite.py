"""Reads the two kinds of tensor that the demo counts with: f32 and i64, of one or two dimensions, as Python lists."""

import array
import json
import struct

KINDS = {"F32": "f", "I64": "q"}


def read(path):
    data = open(path, "rb").read()
    (size,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8:8 + size])
    tensors = {}
    for name, about in head.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + at for at in about["data_offsets"])
        values = array.array(KINDS[about["dtype"]], data[begin:end]).tolist()
        shape = about["shape"]
        tensors[name] = values if len(shape) < 2 else [values[i:i + shape[1]] for i in range(0, len(values), shape[1])]
    return tensors
