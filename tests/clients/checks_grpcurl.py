"""What people with grpcurl see."""

import json
import os
import re
import shlex
import subprocess

from contactcenter.v1 import contact_center_pb2 as api
from world import PATIENCE, SERVICE, World

ACME, BETA = "centers/acme", "centers/beta"

# Name of the check, method, request, expected code, reason, and the fields or the resource that must be named.
BAD_CALLS = [
    ("an unknown center", "ListAgents", {"parent": "centers/nowhere"}, 5, "CENTER_NOT_FOUND", ["centers/nowhere"]),
    ("a malformed name", "GetAgent", {"name": "acme/1001"}, 3, "FIELD_INVALID", ["name"]),
    ("a name of another kind", "GetAgent", {"name": f"{ACME}/queues/9001"}, 3, "FIELD_INVALID", ["name"]),
    ("a page token from nowhere", "ListAgents", {"parent": ACME, "page_token": "abc"}, 3, "TOKEN_INVALID", []),
    ("an unset name", "GetAgent", {}, 3, "FIELD_INVALID", ["name"]),
    ("an unset message", "CreateQueue", {"parent": ACME}, 3, "FIELD_INVALID", ["queue"]),
    (
        "two centers in one request",
        "ListAgents",
        {"parent": ACME, "queue": f"{BETA}/queues/1"},
        3,
        "FIELD_INVALID",
        ["queue"],
    ),
    (
        "an enum value the contract does not know",
        "LoginAgent",
        {"name": f"{ACME}/agents/1004", "initial_state": 77},
        3,
        "FIELD_INVALID",
        ["initial_state"],
    ),
    ("a negative page size", "ListQueues", {"parent": ACME, "page_size": -1}, 3, "FIELD_INVALID", ["page_size"]),
    (
        "several mistakes at once",
        "ListAgents",
        {"parent": "acme", "page_size": -1, "role": 9},
        3,
        "FIELD_INVALID",
        ["parent", "page_size", "role"],
    ),
    ("an agent the vendor does not have", "GetAgent", {"name": f"{ACME}/agents/1"}, 5, "RESOURCE_NOT_FOUND", []),
    (
        "a field the vendor cannot take",
        "CreateQueue",
        {"parent": ACME, "queue": {"display_name": "Night", "strategy": "QUEUE_STRATEGY_ROUND_ROBIN"}},
        3,
        "FIELD_UNSUPPORTED",
        ["queue.strategy"],
    ),
    (
        "a method the vendor does not have",
        "StartCallback",
        {"parent": BETA, "customer_number": "13800000000", "entry_number": "01055500100"},
        12,
        "METHOD_UNSUPPORTED",
        [],
    ),
]


def checks(world: World):
    """The checks of this file, by name."""
    with world.sandbox() as sandbox:
        for line in sandbox.pasted_lines:
            shown = line.split(sandbox.grpc)[-1].strip()
            yield f"grpcurl: pasted: {shown}", lambda line=line: pasted(world, line)
        yield "grpcurl: the sandbox prints lines to paste", lambda: assert_at_least_five(sandbox.pasted_lines)
    with world.sandbox() as sandbox:
        address = sandbox.grpc
        yield "grpcurl: list", lambda: lists(world, address)
        yield "grpcurl: describe shows the comments", lambda: describes(world, address)
        yield "grpcurl: every method of the contract is described", lambda: describes_all(world, address)
        for service in ("", SERVICE):
            yield f"grpcurl: health of {service!r}", lambda service=service: is_healthy(world, address, service)
        yield "grpcurl: health of an unknown service", lambda: health_is_not_found(world, address)
        for name, *case in BAD_CALLS:
            yield f"grpcurl: bad call: {name}", lambda case=case: bad_call(world, address, *case)
        yield "grpcurl: a page token of other arguments", lambda: page_token_of_other_arguments(world, address)
        yield "grpcurl: error details are printed decoded", lambda: prints_details(world, address)
        yield "grpcurl: after all that, a good call is a good call", lambda: still_works(world, address)


def pasted(world: World, line: str) -> None:
    """Runs the line in a shell, as it was printed."""
    path = os.pathsep.join([os.path.dirname(world.grpcurl), os.environ.get("PATH", "")])
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        check=False,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
    if shlex.split(line)[0] == "grpcurl":
        assert done.stdout.strip() not in ("", "{}"), "an empty response shows nothing"
    else:
        assert "error" not in done.stdout.lower(), done.stdout


def assert_at_least_five(lines: list) -> None:
    assert len(lines) >= 5, lines


def lists(world: World, address: str) -> None:
    services = world.call(address, "list").stdout.split()
    for service in (SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"):
        assert service in services, services


def describes(world: World, address: str) -> None:
    method = world.call(address, "describe", f"{SERVICE}.GetAgent").stdout
    assert "// Gets one agent with its current state, if the vendor reports one." in method, method
    message = world.call(address, "describe", "contactcenter.v1.StartCallbackRequest").stdout
    assert "// Required." in message, message


def describes_all(world: World, address: str) -> None:
    described = world.call(address, "describe", SERVICE).stdout
    methods = re.findall(r"rpc (\w+)", described)
    named = [method.name for method in api.DESCRIPTOR.services_by_name["ContactCenter"].methods]
    assert sorted(methods) == sorted(named), set(methods) ^ set(named)
    assert described.count("//") >= len(methods), described


def is_healthy(world: World, address: str, service: str) -> None:
    done = world.call("-d", json.dumps({"service": service}), address, "grpc.health.v1.Health/Check")
    assert json.loads(done.stdout) == {"status": "SERVING"}, done.stdout + done.stderr


def health_is_not_found(world: World, address: str) -> None:
    status = failure(world, address, "grpc.health.v1.Health/Check", {"service": "nobody"})
    assert status["code"] == 5, status


def bad_call(world: World, address: str, method: str, request: dict, code: int, reason: str, named: list) -> None:
    status = failure(world, address, f"{SERVICE}/{method}", request)
    assert status["code"] == code, status
    info = details(status, "ErrorInfo")
    assert len(info) == 1, status
    assert info[0]["domain"] == "contactcenter.gateway", info
    assert info[0]["reason"] == reason, info
    assert info[0]["metadata"]["method"] == method, info
    assert re.fullmatch("[0-9a-f]{32}", info[0]["metadata"]["traceId"]), info
    fields = [violation["field"] for bad in details(status, "BadRequest") for violation in bad["fieldViolations"]]
    resources = [resource["resourceName"] for resource in details(status, "ResourceInfo")]
    for name in named:
        assert name in fields + resources, f"{name} is not named: {status}"


def page_token_of_other_arguments(world: World, address: str) -> None:
    method = f"{SERVICE}/ListAgents"
    done = world.call("-d", json.dumps({"parent": ACME, "page_size": 2}), address, method)
    token = json.loads(done.stdout)["nextPageToken"]
    request = {"parent": ACME, "page_size": 2, "page_token": token}
    assert world.call("-d", json.dumps(request), address, method).returncode == 0
    for other in ({"query": "Mara"}, {"queue": f"{ACME}/queues/9001"}):
        bad_call(world, address, "ListAgents", {**request, **other}, 3, "TOKEN_INVALID", [])
    bad_call(world, address, "ListQueues", {"parent": ACME, "page_token": token}, 3, "TOKEN_INVALID", [])


def prints_details(world: World, address: str) -> None:
    """Without the contract's files at hand, grpcurl knows the details by reflection."""
    done = world.call("-d", json.dumps({"parent": "centers/nowhere"}), address, f"{SERVICE}/ListAgents")
    assert "Code: NotFound" in done.stderr, done.stderr
    assert '"reason": "CENTER_NOT_FOUND"' in done.stderr, done.stderr


def still_works(world: World, address: str) -> None:
    done = world.call("-d", json.dumps({"name": f"{ACME}/agents/1004"}), address, f"{SERVICE}/GetAgent")
    assert json.loads(done.stdout)["name"] == f"{ACME}/agents/1004", done.stdout + done.stderr


def failure(world: World, address: str, method: str, request: dict) -> dict:
    """The google.rpc.Status of a call that must fail."""
    done = world.call("-format-error", "-d", json.dumps(request), address, method)
    assert done.returncode >= 64, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return json.loads(done.stderr)


def details(status: dict, kind: str) -> list:
    """The details of one kind."""
    return [
        detail for detail in status.get("details", []) if detail["@type"] == f"type.googleapis.com/google.rpc.{kind}"
    ]
