"""What people see who run the commands wrongly."""

import contextlib
import functools
import re
import socket
import subprocess
import threading
import time

from vendors import VENDORS
from world import LISTEN, PATIENCE, ROOT, Gateway, Sandbox, Simulator, World, get

ACME = """
[centers.acme]
vendor = "udesk"
base_url = "https://acme.example.com"
app_id = "app"
sid = "sid"
auth_token = "a-secret-in-the-file"
"""
SECRET = "a-secret-in-the-file"

# Name of the check, what replaces what in a valid configuration, and what the one line of the error must hold.
BAD_CONFIGURATIONS = [
    (
        "an unknown key",
        ('sid = "sid"', 'sid = "sid"\nallow_plaintxt = true'),
        ["centers.acme.allow_plaintxt", "did you mean `allow_plaintext`?"],
    ),
    ("a missing key", ('sid = "sid"\n', ""), ["centers.acme.sid", "missing"]),
    ("an unset variable", (f'"{SECRET}"', '{ env = "NOT_SET_HERE" }'), ["centers.acme.auth_token", "NOT_SET_HERE"]),
    ("a missing file", (f'"{SECRET}"', '{ file = "no/such/file" }'), ["centers.acme.auth_token", "no/such/file"]),
    ("http:// without allow_plaintext", ("https://", "http://"), ["centers.acme.base_url", "allow_plaintext"]),
    ("a public address", ('grpc = "127.0.0.1:0"', 'grpc = "0.0.0.0:0"'), ["listen.grpc", "allow_unauthenticated"]),
    ("an unknown vendor", ('"udesk"', '"udsk"'), ["centers.acme.vendor", *(f'"{vendor}"' for vendor in VENDORS)]),
    ("a bad size", ("[listen]", '[listen]\nmax_request_size = "4 apples"'), ["listen.max_request_size"]),
    ("no TOML", ("[centers.acme]", "[centers.acme"), ["line"]),
    ("no center", (ACME, ""), ["centers"]),
]


def checks(world: World):
    """The checks of this file, by name."""
    for name, *case in BAD_CONFIGURATIONS:
        for command in ("check", "serve"):
            yield f"{command}: {name}", functools.partial(bad_configuration, world, command, *case)
    for check in (
        a_valid_configuration,
        all_errors_at_once,
        a_file_that_is_not_there,
        a_port_in_use,
        a_sandbox_port_in_use,
        default_sandbox_ports_in_use,
        a_sandbox_for_others,
        the_printed_tail_runs,
        a_storage_in_use,
        wrong_usage,
        every_vendor_is_simulated,
        help_is_there,
        a_probe,
        dangers_are_warned_of,
    ):
        yield f"commands: {check.__name__.replace('_', ' ')}", functools.partial(check, world)


def written(world: World, text: str) -> str:
    file = world.folder / "configuration.toml"
    file.write_text(text)
    return str(file)


def bad_configuration(world: World, command: str, change: tuple, expected: list) -> None:
    valid = LISTEN + ACME
    text = valid.replace(*change)
    assert text != valid
    done = world.run(command, "--config", written(world, text))
    assert done.returncode == 2, f"exit code {done.returncode}\n{done.stderr}"
    (line,) = done.stderr.splitlines()
    for part in ["switchboard: ", "configuration.toml: ", *expected]:
        assert part in line, f"{part!r} is not in: {line}"
    assert SECRET not in done.stdout + done.stderr


def a_valid_configuration(world: World) -> None:
    done = world.run("check", "--config", written(world, LISTEN + ACME))
    assert done.returncode == 0 and "valid, 1 center(s)" in done.stdout, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr


def all_errors_at_once(world: World) -> None:
    text = (LISTEN + ACME).replace('sid = "sid"\n', "").replace("https://", "http://").replace("app_id", "ap_id")
    done = world.run("check", "--config", written(world, text))
    assert done.returncode == 2
    for key in ("centers.acme.sid", "centers.acme.base_url", "centers.acme.ap_id", "centers.acme.app_id"):
        assert f" {key}: " in done.stderr, done.stderr


def a_file_that_is_not_there(world: World) -> None:
    done = world.run("serve", "--config", "no/such/file.toml")
    assert done.returncode == 2 and "no/such/file.toml: cannot be read" in done.stderr, done.stderr


@contextlib.contextmanager
def taken_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def a_port_in_use(world: World) -> None:
    for key in ("grpc", "http", "admin"):
        with taken_port() as address:
            text = LISTEN.replace(f'{key} = "127.0.0.1:0"', f'{key} = "{address}"') + ACME
            done = world.run("serve", "--config", written(world, text))
        assert done.returncode == 1, f"exit code {done.returncode}\n{done.stderr}"
        assert f"listen.{key}: cannot listen on {address}: the address is in use" in done.stderr, done.stderr


def a_sandbox_port_in_use(world: World) -> None:
    free = "127.0.0.1:0"
    with taken_port() as address:
        done = world.run("sandbox", "--grpc", address, "--http", free, "--admin", free)
    assert done.returncode == 1 and address in done.stderr and "in use" in done.stderr, done.stderr


def default_sandbox_ports_in_use(world: World) -> None:
    """Each default port that is in use is replaced by a free one."""
    ports = {50051, 8080, 9090, *(vendor.port for vendor in VENDORS.values())}
    with contextlib.ExitStack() as stack:
        for port in ports:
            taken = stack.enter_context(socket.socket())
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):  # somebody else has it
                taken.bind(("127.0.0.1", port))
                taken.listen()
        with Sandbox(world, "--event-templates", str(ROOT / "simulators/src/udesk/events")) as sandbox:
            shown = set(sandbox.addresses.values())
    assert len(shown) == len(ports) and not ports & {int(address.rpartition(":")[2]) for address in shown}, shown


def a_sandbox_for_others(world: World) -> None:
    """An address outside loopback requires a flag of the sandbox's own, and the printed commands work on this machine."""
    addresses = [word for key in ("http", "admin", *VENDORS) for word in (f"--{key}", "127.0.0.1:0")]
    done = world.run("sandbox", "--grpc", "0.0.0.0:0", *addresses)
    assert done.returncode == 2, f"exit code {done.returncode}\n{done.stderr}"
    assert "--grpc: " in done.stderr and "--allow-unauthenticated" in done.stderr, done.stderr
    with Sandbox(world, "--grpc", "0.0.0.0:0", "--allow-unauthenticated", *addresses) as sandbox:
        assert sandbox.grpc.startswith("127.0.0.1:"), sandbox.out
        done = world.call(sandbox.grpc, "list")
        assert done.returncode == 0, done.stderr


def the_printed_tail_runs(world: World) -> None:
    """In the directory in which the sandbox was started."""
    with world.sandbox() as sandbox, (sandbox.folder / "tail").open("wb") as out:
        tail = subprocess.Popen(
            ["bash", "-c", f"exec {sandbox.tail_line}"], cwd=sandbox.folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL
        )
        try:
            metrics = f"http://{sandbox.admin}/metrics"
            limit = time.monotonic() + PATIENCE
            while 'switchboard_watchers{center="acme"} 1' not in get(metrics)[1]:
                ended = tail.poll()
                assert ended is None, f"exit code {ended}\n{(sandbox.folder / 'tail').read_text()}"
                assert time.monotonic() < limit, "nobody watches"
                threading.Event().wait(0.01)
        finally:
            tail.kill()
            tail.wait(PATIENCE)


def a_storage_in_use(world: World) -> None:
    storage = f'[storage]\npath = "{world.folder / "one.db"}"\n'
    with Gateway(world, LISTEN + storage + ACME):
        done = world.run("serve", "--config", written(world, LISTEN + storage + ACME))
    assert done.returncode == 2 and "storage.path: " in done.stderr, f"exit code {done.returncode}\n{done.stderr}"


def wrong_usage(world: World) -> None:
    for arguments in ((), ("serve",), ("check", "--conf", "x"), ("simulate", "nobody", "--listen", "127.0.0.1:0")):
        done = world.run(*arguments)
        assert done.returncode == 2 and done.stderr, f"{arguments}: exit code {done.returncode}"
    done = world.run("simulate", "udesk", "--listen", "127.0.0.1:0", "--quirk", "no-such-quirk")
    assert done.returncode == 2 and "text-numbers" in done.stderr, done.stderr
    for arguments in (
        ("sandbox", "--event-templates", "nowhere"),
        ("simulate", "udesk", "--listen", "127.0.0.1:0", "--event-templates", "nowhere"),
        ("simulate", "huawei", "--listen", "127.0.0.1:0", "--life"),
    ):
        done = world.run(*arguments)
        assert done.returncode == 2 and done.stderr, f"{arguments}: exit code {done.returncode}"


def every_vendor_is_simulated(world: World) -> None:
    """The table of vendors is what the program can simulate."""
    done = world.run("simulate", "nobody", "--listen", "127.0.0.1:0")
    (names,) = re.findall(r"possible values: ([^]]+)", done.stderr)
    assert names.split(", ") == list(VENDORS), done.stderr


def help_is_there(world: World) -> None:
    for arguments in ((), ("serve",), ("sandbox",), ("check",), ("simulate",)):
        done = world.run(*arguments, "--help")
        assert done.returncode == 0 and "Usage: switchboard" in done.stdout, done.stdout + done.stderr


def a_probe(world: World) -> None:
    with contextlib.ExitStack() as stack:
        text = "".join(stack.enter_context(Simulator(world, vendor)).configuration for vendor in VENDORS)
        done = world.run("check", "--probe", "--config", written(world, text))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "storage.path: the gateway can store its state there" in done.stdout, done.stdout
        for vendor in VENDORS.values():
            assert f"centers.{vendor.center}: the vendor responds and accepts the credentials" in done.stdout, done.stdout
        for key in (vendor.secret for vendor in VENDORS.values()):
            wrong = "\n".join(f'{key} = "wrong"' if line.startswith(key) else line for line in text.splitlines())
            done = world.run("check", "--probe", "--config", written(world, wrong))
            assert done.returncode == 1, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
            assert "VENDOR_AUTH_FAILED" in done.stdout, done.stdout
            assert '"wrong"' not in done.stdout + done.stderr
        # As an editor or a shell leaves a secret, and a folder that is not there.
        for file, vendor in VENDORS.items():
            key = vendor.secret
            line = next(line for line in text.splitlines() if line.startswith(f"{key} = "))
            (world.folder / file).write_text("\ufeff" + line.split('"')[1] + "\r\n\n")
            text = text.replace(line, f'{key} = {{ file = "{file}" }}')
        text += '[storage]\npath = "nowhere/switchboard.db"\n'
        done = world.run("check", "--probe", "--config", written(world, text))
        assert done.returncode == 1, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
        assert "storage.path: nowhere/switchboard.db: cannot be opened" in done.stdout, done.stdout
        assert done.stdout.count("the vendor responds and accepts the credentials") == len(VENDORS), done.stdout


def dangers_are_warned_of(world: World) -> None:
    text = LISTEN.replace('admin = "127.0.0.1:0"', 'admin = "0.0.0.0:0"') + ACME
    text += '[events]\ncallback_base_url = "http://gateway.example.com"\n'
    done = world.run("check", "--config", written(world, text))
    assert done.returncode == 0, done.stderr
    keys = ("listen.admin", "events.callback_base_url")
    for key in keys:
        assert f"configuration.toml: {key}: " in done.stderr, done.stderr
    with Gateway(world, text) as gateway:
        for key in keys:
            gateway.until(rf'"level":"WARN".*"key":"{key}"', err=True)
