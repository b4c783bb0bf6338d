"""The programs of examples/, in both languages, at a center of each vendor."""

import functools
import os
import pathlib
import re
import subprocess
import sys

from vendors import VENDORS
from world import PATIENCE, ROOT, SERVICE, World

NOWHERE_PRINTS = """\
first_day: GetCapabilities: NOT_FOUND CENTER_NOT_FOUND: \
no such center: centers/nowhere; ListCenters lists the centers
"""


def checks(world: World):
    """The checks of this file, by name."""
    yield "examples: an old compiler accepts the descriptor set", functools.partial(old_compiler, world)
    rust = world.binary.parent / "examples/first_day"
    python = ROOT / "examples/first_day.py"
    with world.sandbox() as sandbox:
        for language, command in (("python", [sys.executable, python]), ("rust", [rust])):
            # Twice: what a first run leaves behind disturbs no second run.
            for time in ("first", "second"):
                for vendor in VENDORS.values():
                    yield (
                        f"examples: first_day at {vendor.center} in {language}, {time} time",
                        functools.partial(prints, world, [*command, vendor.center, sandbox.grpc], 0, vendor.first_day),
                    )
            yield (
                f"examples: first_day at an unknown center in {language}",
                functools.partial(prints, world, [*command, "nowhere", sandbox.grpc], 1, NOWHERE_PRINTS),
            )


def old_compiler(world: World) -> None:
    """A compiler that does not know debug_redact rejects the contract's files, and accepts what reflection serves."""
    protoc = pathlib.Path(sys.executable).with_name("protoc")
    run = functools.partial(subprocess.run, capture_output=True, check=False, text=True, timeout=PATIENCE)
    assert run([protoc, "--version"]).stdout == "libprotoc 3.21.1\n"
    sets = [world.folder / "contactcenter.protoset", world.folder / "errors.protoset"]
    out = world.folder / "old"
    out.mkdir()
    contract = sorted((ROOT / "proto/contactcenter/v1").glob("*.proto"))
    names = [str(file.relative_to(ROOT / "proto")) for file in contract]
    rejected = run([protoc, f"-I{ROOT / 'proto'}", f"--python_out={out}", *names])
    assert rejected.returncode != 0 and '"debug_redact" unknown' in rejected.stderr, rejected.stderr
    with world.sandbox() as sandbox:
        # No method refers to the reasons of errors.
        shown = [("list", SERVICE), ("describe", "contactcenter.v1.ErrorReason")]
        for protoset, what in zip(sets, shown, strict=True):
            done = world.call("-protoset-out", str(protoset), sandbox.grpc, *what)
            assert done.returncode == 0, done.stderr
    accepted = run([protoc, f"--descriptor_set_in={os.pathsep.join(map(str, sets))}", f"--python_out={out}", *names])
    assert accepted.returncode == 0, accepted.stderr
    assert all((out / name.replace(".proto", "_pb2.py")).is_file() for name in names)


def prints(world: World, command: list, code: int, expected: str) -> None:
    """What it prints, but for IDs, and how it ends."""
    assert command[0] == sys.executable or command[0].is_file(), f"{command[0]} is missing: cargo build --examples"
    done = subprocess.run(
        command,
        check=False,
        env={**os.environ, "PYTHONPATH": str(world.generated)},
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    printed = re.sub(r"agents/\d+$", "agents/<id>", done.stdout, flags=re.MULTILINE)
    assert printed == expected and done.returncode == code, f"exit code {done.returncode}, and this was printed:\n{printed}"
