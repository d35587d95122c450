#!/usr/bin/env python3
"""Programs as people export them, run by `cairn program` on both tiers and compared with PyTorch.

    zoo.py [--bin build/release/bin] [--keep FOLDER] [--tier 'exact native'] [NAME...]   every program, or those whose name begins so

A row of the table in a family's file (moves.py, vision.py, ...) is a module with example inputs. As `run` its outputs are
compared, as `train` (its forward gives the loss) the losses of some steps of SGD and the weights after them: the largest
difference over the largest value of PyTorch's must stay below 2e-5 (a row may say otherwise, and why). Batches are whole, so
that the order of rows does not matter. Needs PyTorch of examples/digits/export.lock, numpy and safetensors; not part of
scripts/test, which runs small programs that are kept as files.
"""

import argparse
import dataclasses
import importlib
import json
import pathlib
import subprocess
import sys
import tempfile
import typing
import warnings

import torch
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).resolve().parent
FAMILIES = ["basics", "moves", "integers", "indexing", "pointwise", "reductions", "training", "sequence", "vision"]
LIMIT = 2e-5


@dataclasses.dataclass
class Row:
    name: str  # family.what
    module: torch.nn.Module
    inputs: list  # of forward, in order
    train: bool = False
    dynamic: bool = False  # batch dimension exported as dynamic
    limit: float = LIMIT
    steps: int = 5
    lr: float = 0.05
    options: tuple = ()  # more of `cairn program run` or `train`
    loop: typing.Callable = None  # (module, inputs, steps) -> losses: PyTorch's loop, where it is not SGD's; `options` then say the optimizer


def rows():
    for family in FAMILIES:
        if (HERE / f"{family}.py").exists():
            torch.manual_seed(0)
            yield from importlib.import_module(family).rows()


def difference(ours, theirs):
    if ours.dtype != theirs.dtype and theirs.dtype == torch.bool:
        theirs = theirs.to(ours.dtype)
    if tuple(ours.shape) != tuple(theirs.shape):
        return f"shape {tuple(ours.shape)}, not {tuple(theirs.shape)}"
    if theirs.numel() == 0:
        return 0.0
    a, b = ours.double(), theirs.double()
    special = ~torch.isfinite(b)
    if special.any():
        same = (a == b) | (torch.isnan(a) & torch.isnan(b))
        if not same[special].all():
            return "another infinity or NaN"
        a, b = a[~special], b[~special]
        if b.numel() == 0:
            return 0.0
    if not torch.isfinite(a).all():
        return "not finite"
    return float((a - b).abs().max() / max(float(b.abs().max()), 1e-30))


def export(row, folder):
    shapes = None
    if row.dynamic:
        batch = torch.export.Dim("batch", min=2, max=65536)
        shapes = tuple({0: batch} for _ in row.inputs)
    program = torch.export.export(row.module, tuple(row.inputs), dynamic_shapes=shapes)
    torch.export.save(program, folder / "program.pt2")
    named = zip(program.graph_signature.user_inputs, row.inputs)
    save_file({name: tensor.contiguous().clone() for name, tensor in named}, folder / "in.safetensors")


def cairn(binary, folder, *words):
    done = subprocess.run([str(binary / "cairn"), "program", *words, "--json"], capture_output=True, text=True, check=False, cwd=folder, timeout=600)
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr).strip().replace("\n", " ")[-400:] if done.stdout + done.stderr else "no output")
    return json.loads(done.stdout.strip().splitlines()[-1])


def run(row, tier, binary, folder):
    row.module.eval()
    with torch.no_grad():
        theirs = row.module(*row.inputs)
    theirs = [theirs] if isinstance(theirs, torch.Tensor) else list(theirs)
    cairn(binary, folder, "run", "program.pt2", "--inputs", "in.safetensors", "--outputs", "out.safetensors", "--tier", tier, *row.options)
    ours = load_file(folder / "out.safetensors")
    return {f"output_{i}": difference(ours[f"output_{i}"], tensor) for i, tensor in enumerate(theirs)}


def sgd(lr):
    def loop(module, inputs, steps):
        optimizer, losses = torch.optim.SGD(module.parameters(), lr=lr), []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = module(*inputs)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return loop


def train(row, tier, binary, folder):
    module = row.module
    words = () if row.loop else ("--optimizer", "sgd", "--lr", str(row.lr))
    said = cairn(binary, folder, "train", "program.pt2", "--data", "in.safetensors", "--steps", str(row.steps), *words,
                 "--outputs", "out.safetensors", "--tier", tier, *row.options)
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    losses = (row.loop or sgd(row.lr))(module, row.inputs, row.steps)
    ours, found = load_file(folder / "out.safetensors"), {}
    found["losses"] = difference(torch.tensor(said["losses"]), torch.tensor(losses))
    after = module.state_dict()
    for name in ours:
        if name in after:
            found[name] = difference(ours[name], after[name].detach())
    module.load_state_dict(state)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default="build/release/bin", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--tier", default="exact native")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    sys.path.insert(0, str(HERE))
    sys.modules["zoo"] = sys.modules["__main__"]
    warnings.filterwarnings("ignore")
    failed, count = [], 0
    for row in rows():
        if args.names and not any(row.name.startswith(name) for name in args.names):
            continue
        for tier in args.tier.split():
            count += 1
            with tempfile.TemporaryDirectory() as scratch:
                folder = args.keep / row.name if args.keep else pathlib.Path(scratch)
                folder.mkdir(parents=True, exist_ok=True)
                try:
                    row.module.train(row.train)
                    export(row, folder)
                    found = (train if row.train else run)(row, tier, args.bin.resolve(), folder)
                except Exception as error:  # pylint: disable=broad-except  # one program must not hide the others
                    found = {"": f"{type(error).__name__}: {str(error)[:300]}"}
            worst = {k: v for k, v in found.items() if isinstance(v, str) or v > row.limit}
            numbers = [v for v in found.values() if not isinstance(v, str)]
            print(f"{'FAILED' if worst else 'ok    '} {row.name:36} {tier:6} {max(numbers, default=0):.1e} {worst or ''}", flush=True)
            if worst:
                failed.append(f"{row.name} {tier}")
    print(f"{count - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
