"""What the checks share: processes of switchboard, grpcurl, the generated client."""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.request

from vendors import VENDORS

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICE = "contactcenter.v1.ContactCenter"

# Longest that anything here may take to start, respond or end. Passing it is a failure, so it is generous.
PATIENCE = 30.0

# The addresses of a configuration, on free ports.
LISTEN = '[listen]\ngrpc = "127.0.0.1:0"\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'


@dataclasses.dataclass
class World:
    """One run."""

    binary: pathlib.Path
    grpcurl: str
    folder: pathlib.Path
    processes: list = dataclasses.field(default_factory=list)

    @property
    def generated(self) -> pathlib.Path:
        """Where the generated client is."""
        return self.folder / "generated"

    def sandbox(self) -> "Sandbox":
        """A fresh sandbox on free ports."""
        return Sandbox(self)

    def run(self, *arguments, environment=None) -> subprocess.CompletedProcess:
        """A command that ends by itself."""
        return subprocess.run(
            [self.binary, *arguments],
            capture_output=True,
            check=False,
            cwd=self.folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=PATIENCE,
        )

    def call(self, *arguments) -> subprocess.CompletedProcess:
        """grpcurl, without TLS."""
        return subprocess.run(
            [self.grpcurl, "-plaintext", "-max-time", str(PATIENCE), *arguments],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=2 * PATIENCE,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Ends what a failed check left behind."""
        for process in self.processes:
            process.kill()


class Process:
    """A switchboard that runs until it is terminated. What it prints goes to files, so that it never waits for us.

    A wrapper is a command that becomes the one that comes after its own arguments.
    """

    def __init__(self, world: World, *arguments: str, environment=None, wrapper=()):
        # Each has a working directory of its own, where it keeps its database.
        self.folder = world.folder / str(len(world.processes))
        self.folder.mkdir()
        world.processes.append(self)
        self.out_file = self.folder / "out"
        self.err_file = self.folder / "err"
        with self.out_file.open("wb") as out, self.err_file.open("wb") as err:
            self.process = subprocess.Popen(
                [*wrapper, world.binary, *arguments],
                cwd=self.folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def out(self) -> str:
        """Everything on standard output so far."""
        return self.out_file.read_text()

    @property
    def err(self) -> str:
        """Everything on standard error so far."""
        return self.err_file.read_text()

    def until(self, pattern: str, *, err: bool = False) -> re.Match:
        """The first match in what is printed, as soon as it is there."""
        limit = time.monotonic() + PATIENCE
        tick = threading.Event()
        while True:
            ended = self.process.poll() is not None
            match = re.search(pattern, self.err if err else self.out, re.MULTILINE)
            if match:
                return match
            assert not ended, f"ended with {self.process.returncode} before {pattern!r}:\n{self.out}{self.err}"
            assert time.monotonic() < limit, f"never printed {pattern!r}:\n{self.out}{self.err}"
            tick.wait(0.01)

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.terminate()

    def wait(self, limit: float = PATIENCE) -> int:
        """The exit code."""
        return self.process.wait(limit)

    def kill(self) -> None:
        """At once, regardless of what it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)


class Gateway(Process):
    """`switchboard serve`, with this configuration."""

    def __init__(self, world: World, configuration: str, environment=None, wrapper=()):
        file = world.folder / f"{len(world.processes)}.toml"
        file.write_text(configuration)
        super().__init__(world, "serve", "--config", str(file), environment=environment, wrapper=wrapper)
        serving = json.loads(self.until(r"^\{.*\"message\":\"serving\".*\}$", err=True).group())
        self.grpc, self.http, self.admin = serving["grpc"], serving["http"], serving["admin"]
        wait_ready(self.admin)


class Sandbox(Process):
    """`switchboard sandbox`, on free ports unless the arguments say otherwise."""

    def __init__(self, world: World, *arguments: str):
        any_port = "127.0.0.1:0"
        addresses = [word for key in ("grpc", "http", "admin", *VENDORS) for word in (f"--{key}", any_port)]
        super().__init__(world, "sandbox", *(arguments or addresses))
        self.grpc = self.until(r"^ *gRPC +(\S+:\d+)").group(1)
        self.http = self.until(r"^ *callbacks +(\S+:\d+)").group(1)
        self.admin = self.until(r"^ *admin +http://([^/\s]+)/").group(1)
        self.simulators = {
            name: self.until(rf"^ *{vendor.center} +http://([^/\s]+)/simulator/").group(1)
            for name, vendor in VENDORS.items()
        }
        # Everything was printed before anything is accepted.
        wait_ready(self.admin)

    @property
    def addresses(self) -> dict:
        """Every address, by the name of its option."""
        return {"grpc": self.grpc, "http": self.http, "admin": self.admin, **self.simulators}

    @property
    def pasted_lines(self) -> list:
        """The commands it prints that end by themselves."""
        return [line.strip() for line in self.out.splitlines() if line.strip().startswith(("grpcurl ", "curl "))]

    @property
    def tail_line(self) -> str:
        """The command it prints that shows events."""
        (line,) = [line.strip() for line in self.out.splitlines() if " events tail " in line]
        return line


class Simulator(Process):
    """`switchboard simulate`, on a free port."""

    def __init__(self, world: World, vendor: str, environment=None):
        super().__init__(world, "simulate", vendor, "--listen", "127.0.0.1:0", environment=environment)
        self.address = self.until(r"simulates a vendor at http://(\S+:\d+)").group(1)
        # The lines for a gateway's configuration; the secret comes last.
        self.until(rf"^{VENDORS[vendor].secret} = .*\n")
        self.configuration = self.out


def wait_ready(admin: str) -> None:
    """The port is bound already, so the response comes as soon as the gateway accepts calls."""
    status, _ = get(f"http://{admin}/readyz")
    assert status == 200, f"/readyz returns {status}"


def get(url: str):
    """Status and text of a GET."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=PATIENCE) as response:
        return response.status, response.read().decode()


def generate_client(world: World) -> None:
    """Compiles the contract as any user would, and puts it on the path of the checks."""
    out = world.generated
    out.mkdir()
    protos = sorted((ROOT / "proto").rglob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}"]
    subprocess.run([*command, f"--python_out={out}", f"--grpc_python_out={out}", *protos], check=True)
    sys.path.insert(0, str(out))
