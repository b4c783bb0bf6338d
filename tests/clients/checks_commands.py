"""What people see who run the commands wrongly."""

import contextlib
import functools
import socket

from world import LISTEN, Gateway, Simulator, World

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
    ("an unknown vendor", ('"udesk"', '"udsk"'), ["centers.acme.vendor", '"udesk"', '"huawei"']),
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
        a_storage_in_use,
        wrong_usage,
        help_is_there,
        a_probe,
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


def help_is_there(world: World) -> None:
    for arguments in ((), ("serve",), ("sandbox",), ("check",), ("simulate",)):
        done = world.run(*arguments, "--help")
        assert done.returncode == 0 and "Usage: switchboard" in done.stdout, done.stdout + done.stderr


def a_probe(world: World) -> None:
    with Simulator(world, "udesk") as udesk, Simulator(world, "huawei") as huawei:
        text = udesk.configuration + huawei.configuration
        done = world.run("check", "--probe", "--config", written(world, text))
        assert done.returncode == 0, done.stdout + done.stderr
        for center in ("acme", "beta"):
            assert f"centers.{center}: the vendor responds and accepts the credentials" in done.stdout, done.stdout
        for key in ("auth_token", "app_secret"):
            wrong = "\n".join(f'{key} = "wrong"' if line.startswith(key) else line for line in text.splitlines())
            done = world.run("check", "--probe", "--config", written(world, wrong))
            assert done.returncode == 1, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
            assert "VENDOR_AUTH_FAILED" in done.stdout, done.stdout
            assert '"wrong"' not in done.stdout + done.stderr
