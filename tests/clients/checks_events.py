"""From a vendor's post to programs that watch, over ends of the gateway that nobody wished for."""

import contextlib
import functools
import json
import signal
import subprocess
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator

import grpc

from client import channel, refusal
from contactcenter.v1 import contact_center_pb2 as api
from contactcenter.v1 import contact_center_pb2_grpc as api_grpc
from contactcenter.v1 import resources_pb2
from world import LISTEN, PATIENCE, Gateway, World, get

BETA = "centers/beta"
SECRET = "console-secret-1b7e"
# Nobody asks this tenant anything: it only posts.
CENTER = f"""
[centers.beta]
vendor = "huawei"
base_url = "http://127.0.0.1:1"
allow_plaintext = true
app_key = "key"
app_secret = "secret"
callback_secret = "{SECRET}"
"""


def checks(world: World):
    """The checks of this file, by name."""
    for check in (
        an_acknowledged_event_survives_a_kill,
        tail_goes_on_after_a_restart,
        tail_does_not_lose_what_it_cannot_print,
        tail_says_what_is_wrong,
        a_callback_is_watched_from_dialing_to_hanging_up,
        a_wrong_secret_is_not_found,
    ):
        yield f"events: {check.__name__.replace('_', ' ')}", functools.partial(check, world)


def configuration(world: World, listen: str = LISTEN) -> str:
    return f'{listen}[storage]\npath = "{world.folder / uuid.uuid4().hex}.db"\n{CENTER}'


def post(gateway: Gateway, number: int) -> None:
    """One event, acknowledged."""
    body = json.dumps({"callSerialNo": f"c-{number}", "uuid": f"u-{number}"}).encode()
    url = f"http://{gateway.http}/callbacks/beta/{SECRET}"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, body, PATIENCE) as response:
        assert response.status == 200
        assert json.load(response) == {"retCode": "0", "retMsg": "success"}


def watched(stub, count: int, **start) -> list:
    """So many events, each with the cursor right after it."""
    stream = stub.WatchEvents(api.WatchEventsRequest(parent=BETA, **start), timeout=PATIENCE)
    events = []
    for item in stream:
        if item.HasField("event"):
            events.append((item.event, item.cursor))
        if len(events) == count:
            stream.cancel()
            return events
    raise AssertionError("the stream ended")


def an_acknowledged_event_survives_a_kill(world: World) -> None:
    text = configuration(world)
    with Gateway(world, text) as gateway, channel(gateway.grpc) as wire:
        for number in range(5):
            post(gateway, number)
        first, cursor = watched(api_grpc.ContactCenterStub(wire), 1, start_time={"seconds": 0})[0]
        gateway.kill()
    with Gateway(world, text) as gateway, channel(gateway.grpc) as wire:
        post(gateway, 5)
        # A vendor that did not receive the response posts again.
        post(gateway, 4)
        rest = watched(api_grpc.ContactCenterStub(wire), 5, cursor=cursor)
    calls = [event.call.call_id for event, _ in [(first, cursor), *rest]]
    assert calls == [f"c-{number}" for number in range(6)], calls
    assert len({event.event_id for event, _ in rest} | {first.event_id}) == 6


def tail_goes_on_after_a_restart(world: World) -> None:
    """The program, its output read line by line."""
    with Gateway(world, configuration(world)) as gateway:
        ports = dict(zip(("grpc", "http", "admin"), (gateway.grpc, gateway.http, gateway.admin)))
        listen = "[listen]\n" + "".join(f'{name} = "{address}"\n' for name, address in ports.items())
        text = configuration(world, listen)
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Gateway(world, text))
        with channel(gateway.grpc) as wire:
            stub = api_grpc.ContactCenterStub(wire)
            tail = stack.enter_context(tailing(world, gateway, live_cursor(stub)))
            post(gateway, 0)
            first = json.loads(tail.stdout.readline())
            assert first["event"]["call"]["callId"] == "c-0", first
            assert first["event"]["vendorPayload"] == {"callSerialNo": "c-0", "uuid": "u-0"}
            assert watched(stub, 1, start_time={"seconds": 0})[0][1] == first["cursor"]
        gateway.kill()
        gateway = stack.enter_context(Gateway(world, text))
        post(gateway, 1)
        second = json.loads(tail.stdout.readline())
        assert second["event"]["call"]["callId"] == "c-1"
        # An end that was asked for is none that went wrong.
        tail.send_signal(signal.SIGINT)
        assert tail.wait() == 0
        assert tail.stderr.read().endswith(f"to resume from here: --from {second['cursor']}\n")


def tail_does_not_lose_what_it_cannot_print(world: World) -> None:
    with Gateway(world, configuration(world)) as gateway, channel(gateway.grpc) as wire:
        cursor = live_cursor(api_grpc.ContactCenterStub(wire))
        post(gateway, 0)
        with open("/dev/full", "w") as full, tailing(world, gateway, cursor, stdout=full) as tail:
            assert tail.wait() == 1
            reported = tail.stderr.read()
        assert "events cannot be printed" in reported and reported.endswith(f"--from {cursor}\n"), reported
        with tailing(world, gateway, cursor) as tail:
            assert json.loads(tail.stdout.readline())["event"]["call"]["callId"] == "c-0"


def live_cursor(stub: api_grpc.ContactCenterStub) -> str:
    """Where a stream stands that begins now."""
    stream = stub.WatchEvents(api.WatchEventsRequest(parent=BETA), timeout=PATIENCE)
    first = next(stream)
    stream.cancel()
    assert first.HasField("heartbeat")
    return first.cursor


@contextlib.contextmanager
def tailing(world: World, gateway: Gateway, cursor: str, stdout=subprocess.PIPE) -> Iterator[subprocess.Popen]:
    """The program, which is ended when it says nothing for too long."""
    command = [world.binary, "events", "tail", "--center", "beta", "--grpc", gateway.grpc, "--from", cursor]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True
    ) as tail:
        limit = threading.Timer(PATIENCE, tail.kill)
        limit.start()
        try:
            yield tail
        finally:
            limit.cancel()
            tail.kill()


def tail_says_what_is_wrong(world: World) -> None:
    with Gateway(world, configuration(world)) as gateway:
        cases = [
            (("--center", "nowhere"), 1, "CENTER_NOT_FOUND"),
            (("--center", "beta", "--from", "nonsense"), 1, "TOKEN_INVALID"),
            (("--center", "beta", "--grpc", gateway.admin), 1, ""),
            (("--center", "beta", "--grpc", "127.0.0.1:1"), 1, "no gateway responds at 127.0.0.1:1"),
            ((), 2, "--center"),
        ]
        for arguments, code, text in cases:
            to = [] if "--grpc" in arguments else ["--grpc", gateway.grpc]
            done = world.run("events", "tail", *arguments, *to)
            assert done.returncode == code and text in done.stderr, (arguments, done.returncode, done.stderr)
            assert not done.stdout and "--from nonsense" not in done.stderr


def a_callback_is_watched_from_dialing_to_hanging_up(world: World) -> None:
    """Subscribed, called and watched in the sandbox, by a generated client."""
    names = ("DIAL_STARTED", "CALL_QUEUED", "CALL_DEQUEUED", "RECORDING_STOPPED", "HANGUP_CAUSE_REPORTED", "CALL_HUNG_UP")
    types = [resources_pb2.EventType.Value(f"EVENT_TYPE_{name}") for name in names]
    with world.sandbox() as sandbox, channel(sandbox.grpc) as wire:
        stub = api_grpc.ContactCenterStub(wire)
        subscription = resources_pb2.Subscription(display_name="live", event_types=types)
        made = stub.CreateSubscription(api.CreateSubscriptionRequest(parent="centers/acme", subscription=subscription))
        assert made.callback_uri == ""
        stream = stub.WatchEvents(api.WatchEventsRequest(parent="centers/acme"), timeout=PATIENCE)
        assert next(stream).HasField("heartbeat")
        call = stub.StartCallback(
            api.StartCallbackRequest(
                parent="centers/acme", customer_number="13800000000", entry_number="01055500100"
            )
        )
        seen = []
        for item in stream:
            # The center lives: other calls come and go.
            if item.event.call.call_id == call.call_id:
                seen.append(item.event.type)
            if seen and seen[-1] == types[-1]:
                break
        stream.cancel()
        assert seen == types, seen


def a_wrong_secret_is_not_found(world: World) -> None:
    with Gateway(world, configuration(world)) as gateway, channel(gateway.grpc) as wire:
        for path in ("callbacks/beta/wrong", "callbacks/other/x", "callbacks/beta", "", "metrics"):
            try:
                get(f"http://{gateway.http}/{path}")
                raise AssertionError(path)
            except urllib.error.HTTPError as error:
                assert error.code == 404 and error.read() == b"", path
        stub = api_grpc.ContactCenterStub(wire)
        request = api.WatchEventsRequest(parent=BETA, cursor="AAAA")
        refusal(lambda: next(stub.WatchEvents(request)), grpc.StatusCode.INVALID_ARGUMENT, "TOKEN_INVALID")
        assert "wrong" not in gateway.err and SECRET not in gateway.err
