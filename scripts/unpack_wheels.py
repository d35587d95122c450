"""Unpacks wheels into one tree of headers and libraries for C++, and deletes each wheel once it is unpacked.

usage: unpack_wheels.py WHEELS_FOLDER TREE

Only what a C++ build needs is kept: torch's headers and CPU libraries, the CUDA toolkit, NCCL, and every licence.
The tree may hold hard links into another one, so a file that stands there is replaced, never written into.
"""

import pathlib
import sys
import zipfile

KEEP = (
    "torch/include/",
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libc10.so",
    "torch/lib/libgomp",
    "nvidia/",
)


def wanted(name):
    if ".dist-info/" in name:
        return "licen" in name.lower() or name.endswith("METADATA")
    return name.startswith(KEEP) and not name.endswith(".py")


def unpack(wheel, tree):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.is_dir() or not wanted(member.filename):
                continue
            (tree / member.filename).unlink(missing_ok=True)
            path = pathlib.Path(archive.extract(member, tree))  # checks the CRC; never leaves the tree
            if (member.external_attr >> 16) & 0o111:
                path.chmod(0o755)  # zipfile drops the mode: nvcc would not run


def link(path, target):
    if not path.is_symlink():
        path.symlink_to(target)


def add_links(tree):
    """lib64, since nvcc.profile and CMake ask for it; libX.so, since a linker does and wheels have libX.so.N only."""
    toolkit = tree / "nvidia/cu13"
    if (toolkit / "lib").is_dir():
        link(toolkit / "lib64", "lib")
    for library in sorted(tree.glob("nvidia/*/lib/lib*.so.*")):
        link(library.with_name(library.name.split(".so.")[0] + ".so"), library.name)


def main(wheels, tree):
    for wheel in sorted(pathlib.Path(wheels).glob("*.whl")):
        print("unpacking", wheel.name, flush=True)
        unpack(wheel, pathlib.Path(tree))
        wheel.unlink()
    add_links(pathlib.Path(tree))


if __name__ == "__main__":
    main(*sys.argv[1:])
