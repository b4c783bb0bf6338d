"""What the documents print is what happens."""

import functools
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import grpc

from contactcenter.v1 import contact_center_pb2, contact_center_pb2_grpc, errors_pb2, resources_pb2
from vendors import CENTERS, VENDORS
from world import LISTEN, PATIENCE, ROOT, Gateway, World, get

# The sandbox's own addresses, as the documents show them.
SHOWN = {
    "grpc": "127.0.0.1:50051",
    "http": "127.0.0.1:8080",
    "admin": "127.0.0.1:9090",
    **{name: f"127.0.0.1:{vendor.port}" for name, vendor in VENDORS.items()},
}
# Commands that are run; others of a console block are for people.
RUN = ("grpcurl ", "curl ", "python examples/", "mkdir -p target/", "protoc ")
SANDBOX = "cargo run -- sandbox"

# What differs from run to run, so that the documents can show real values: UUIDs, trace IDs, and page tokens that name a
# kept list.
RANDOM = re.compile(
    r"\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|(?<=\"nextPageToken\": \")A[g-v][\w-]+)\b"
)


def checks(world: World):
    """The checks of this file, by name."""
    yield "README.md: the methods", functools.partial(methods, world)
    yield "README.md: Udesk's operations", udesk_operations
    yield "README.md: the reasons", functools.partial(reasons, world)
    yield "docs/operations.md: the metrics", functools.partial(metrics, world)
    yield "docs/operations.md: the alerts", functools.partial(alerts, world)
    yield "README.md: the Python client, on a machine without one", functools.partial(new_client, world)
    documents = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    documents += sorted((ROOT / "docs").glob("*.md"))
    for document in documents:
        shown = document.relative_to(ROOT)
        text = document.read_text()
        yield f"{shown}: links lead somewhere", functools.partial(links, document, text)
        for number, block in enumerate(blocks(text, "rust"), 1):
            yield f"{shown}: code {number} is in the code", functools.partial(in_the_code, block, "src", ".rs")
        # Those of docs/faults.md are run by tests/e2e/faults.rs.
        examples = [] if document.name == "faults.md" else blocks(text, "json")
        for number, block in enumerate(examples, 1):
            yield f"{shown}: example {number} is an example", functools.partial(in_the_code, block, "tests", ".json")
        for number, block in enumerate(blocks(text, "toml"), 1):
            if "[centers." in block:
                yield f"{shown}: configuration {number} is valid", functools.partial(valid, world, block)
        steps = [step for block in blocks(text, "console") for step in commands(block)]
        if not any(command.startswith(RUN) or command == SANDBOX for command, _ in steps):
            continue
        # One sandbox for one document, from its first line to its last.
        with world.sandbox() as sandbox:
            for command, expected in steps:
                if command == SANDBOX and not expected.strip():
                    continue  # said, not shown
                if command == SANDBOX:
                    yield f"{shown}: $ {command}", functools.partial(same, expected, as_shown(sandbox.out, sandbox))
                elif command.startswith(RUN):
                    title = " ".join(command.split())
                    yield f"{shown}: $ {title}", functools.partial(run, world, sandbox, command, expected)


def blocks(text: str, language: str) -> list:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(block: str):
    """The commands of a console block, each with what is printed under it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next(end for end in range(1, len(lines) + 1) if is_whole("\n".join(lines[:end])))
        yield "\n".join(lines[:end]), "\n".join(lines[end:])


def is_whole(command: str) -> bool:
    """A command goes on after a backslash, and while a quote is open."""
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def run(world: World, sandbox, command: str, expected: str) -> None:
    for name, address in SHOWN.items():
        command = command.replace(address, sandbox.addresses[name])
    path = os.pathsep.join(
        [os.path.dirname(sys.executable), os.path.dirname(world.grpcurl), os.environ.get("PATH", "")]
    )
    done = subprocess.run(
        ["bash", "-c", command],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(world.generated)},
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    same(expected, as_shown(done.stdout, sandbox))


def new_client(world: World) -> None:
    """The block that installs a Python client and runs the example works where nothing but python3 is installed."""
    (block,) = (text for text in blocks((ROOT / "README.md").read_text(), "console") if "grpc_tools.protoc" in text)
    machine = world.folder / "machine"
    (machine / "bin").mkdir(parents=True)
    for name in ("proto", "tests", "examples"):
        (machine / name).symlink_to(ROOT / name)
    # Debian's python3 installs packages into virtual environments only, and there is no other python or pip.
    (machine / "bin/python3").symlink_to(getattr(sys, "_base_executable", sys.executable))
    for name in ("bash", "mkdir", "uname"):
        (machine / "bin" / name).symlink_to(shutil.which(name))
    with world.sandbox() as sandbox:
        script = "\n".join(command for command, _ in commands(block)).replace(SHOWN["grpc"], sandbox.grpc)
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            check=False,
            cwd=machine,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))},
                "PATH": str(machine / "bin"),
                "PIP_REQUIRE_VIRTUALENV": "1",
            },
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=10 * PATIENCE,
        )
    assert done.returncode == 0 and done.stdout.endswith("deleted\n"), done.stdout


def as_shown(text: str, sandbox) -> str:
    for name, address in SHOWN.items():
        text = text.replace(sandbox.addresses[name], address)
    return text


def same(expected: str, found: str) -> None:
    """`...` stands for anything: on a line of its own for lines, within a line for characters."""
    pattern = []
    for line in comparable(expected).splitlines():
        if line.strip() == "...":
            pattern.append(r"(?:.*\n)*?")
        else:
            pattern.append(".*".join(map(re.escape, line.split("..."))) + r"\n")
    matched = re.fullmatch("".join(pattern), comparable(found))
    assert matched, f"the document says\n{expected}\nand this happened\n{found}"


def comparable(text: str) -> str:
    """Without what differs from run to run, and without differences that nobody sees."""
    lines = (line.expandtabs(4).rstrip() for line in RANDOM.sub("<random>", text).strip("\n").splitlines())
    return "".join(f"{line}\n" for line in lines)


def in_the_code(block: str, folder: str, ending: str) -> None:
    files = [file.read_text() for file in (ROOT / folder).rglob(f"*{ending}")]
    for part in block.strip("\n").split("\n\n"):
        assert any(part in text for text in files), f"not in {folder}:\n{part}"


def table(text: str, heading: str) -> dict:
    """The rows of the table with this heading, by the name in their first cell."""
    (rows,) = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()]
    return {name.strip("`"): rest for name, *rest in cells}


def methods(world: World) -> None:
    """The README's table of methods, one column per vendor, equals what the centers of each vendor report."""
    readme = (ROOT / "README.md").read_text()
    rows = table(readme, "method")
    (heading,) = re.findall(r"^\| method \|(.*)\|$", readme, re.MULTILINE)
    vendors = [cell.strip().lower() for cell in heading.split("|")]
    own = ("ListCenters", "GetCenter", "GetCapabilities")
    assert f" {len(rows) + len(own)} methods" in readme, len(rows)
    wrong = []
    with world.sandbox() as sandbox, grpc.insecure_channel(sandbox.grpc) as channel:
        stub = contact_center_pb2_grpc.ContactCenterStub(channel)
        centers = stub.ListCenters(contact_center_pb2.ListCentersRequest()).centers
        assert {center.vendor for center in centers} == {vendor.split()[0] for vendor in vendors}, vendors
        for center in centers:
            (column,) = (index for index, vendor in enumerate(vendors) if vendor.startswith(center.vendor))
            request = contact_center_pb2.GetCapabilitiesRequest(name=f"{center.name}/capabilities")
            reported = {method.method: method.support for method in stub.GetCapabilities(request).methods}
            for method in own:
                assert reported.pop(method) == resources_pb2.SUPPORT_NATIVE
            assert rows.keys() == reported.keys(), rows.keys() ^ reported.keys()
            for method, support in reported.items():
                shown = rows[method][column]
                if meant(shown) != support:
                    wrong.append(f"{center.name}: {method}: {resources_pb2.Support.Name(support)}, the README: {shown}")
    assert not wrong, "\n".join(wrong)


def udesk_operations() -> None:
    """Each of them serves a method, and has its section in docs/udesk.md."""
    readme = (ROOT / "README.md").read_text()
    sections = re.findall(r"^### (\d\d) ", (ROOT / "docs/udesk.md").read_text(), re.MULTILINE)
    numbers = range(1, len(sections) + 1)
    assert sections == [f"{number:02}" for number in numbers], sections
    numbered = {int(number) for udesk, *_ in table(readme, "method").values() for number in re.findall(r"\((\d+)\)", udesk)}
    assert numbered == set(numbers), numbered
    assert f"{len(sections)} operations of Udesk" in readme, len(sections)


def meant(cell: str) -> int:
    if cell == "–" or cell.endswith("*not yet*"):
        return resources_pb2.SUPPORT_UNSUPPORTED
    return resources_pb2.SUPPORT_DERIVED if cell.startswith("derived") else resources_pb2.SUPPORT_NATIVE


def reasons(_world: World) -> None:
    """Every reason has a row, with the codes that the contract's comments give it."""
    rows = table((ROOT / "README.md").read_text(), "reason")
    contract = (ROOT / "proto/contactcenter/v1/errors.proto").read_text()
    comments = re.findall(r"^  // ([A-Z_]+)\b.*\n(?:  //.*\n)*  ([A-Z_]+) = \d+;", contract, re.MULTILINE)
    documented = {reason: code for code, reason in comments}
    expected = set(errors_pb2.ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"}
    assert rows.keys() == expected, rows.keys() ^ expected
    for reason, (codes, _) in rows.items():
        assert documented[reason] in codes.split(", "), f"{reason}: {codes}, the contract: {documented[reason]}"


def metrics(world: World) -> None:
    """Every metric that shows after a call to each vendor has a row."""
    rows = table((ROOT / "docs/operations.md").read_text(), "metric")
    with world.sandbox() as sandbox, grpc.insecure_channel(sandbox.grpc) as channel:
        stub = contact_center_pb2_grpc.ContactCenterStub(channel)
        for vendor in VENDORS.values():
            stub.ListAgents(contact_center_pb2.ListAgentsRequest(parent=vendor.name))
        _, text = get(f"http://{sandbox.admin}/metrics")
    shown = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert len(shown) > 5 and shown <= rows.keys(), shown - rows.keys()


def alerts(world: World) -> None:
    """Every series that an alert names exists before the first call, for each center that can have it."""
    (block,) = blocks((ROOT / "docs/operations.md").read_text(), "promql")
    expressions = [line for line in block.splitlines() if not line.startswith("#")]
    assert len(expressions) >= 8, expressions
    with Gateway(world, LISTEN + CENTERS) as gateway:
        _, text = get(f"http://{gateway.admin}/metrics")
    for expression in expressions:
        name = re.search(r"(?:switchboard|grpc_server)_\w+", expression).group()
        series = re.findall(rf"^{name}(?:{{(.*)}})? ", text, re.MULTILINE)
        assert series, f"{name} is absent"
        for label, values in re.findall(r'(\w+)=~?"([^"]*)"', expression):
            for value in values.split("|"):
                assert any(f'{label}="{value}"' in labels for labels in series), f"{name}: {label}={value} is absent"
        centers = {center for labels in series for center in re.findall(r'\bcenter="(\w+)"', labels)}
        own = {series for vendor in VENDORS.values() for series in vendor.series if series in name}
        known = {vendor.center for vendor in VENDORS.values() if own <= set(vendor.series)}
        if not name.startswith("switchboard_") or re.search("storage|log_lines", name):
            known = set()
        assert centers == known, f"{name}: {centers}"


def valid(world: World, block: str) -> None:
    file = world.folder / "document.toml"
    file.write_text(block)
    environment = {name: "x" * 16 for name in re.findall(r'env = "(\w+)"', block)}
    done = world.run("check", "--config", str(file), environment=environment)
    assert done.returncode == 0, done.stderr


def links(document: pathlib.Path, text: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists(), f"{target} is not there"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in anchors, f"{target}: there is no such heading"
