"""The gateway on its own, as it starts and ends."""

import contextlib
import functools
import json
import queue
import re
import socket
import subprocess
import threading
import uuid

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from client import channel, refusal
from contactcenter.v1 import contact_center_pb2 as api
from contactcenter.v1 import contact_center_pb2_grpc as api_grpc
from vendors import VENDORS
from world import LISTEN, PATIENCE, SERVICE, Gateway, Simulator, World, get

# The center that rings customers.
ACME = "centers/acme"


def checks(world: World):
    """The checks of this file, by name."""
    for check in (
        two_processes,
        a_repeat_after_a_restart,
        sigterm_drains,
        a_watched_gateway_ends_with_its_calls,
        a_call_that_does_not_end_ends_with_drain_timeout,
        a_second_signal_ends_it_at_once,
    ):
        yield f"processes: {check.__name__.replace('_', ' ')}", functools.partial(check, world)


def two_processes(world: World) -> None:
    """Simulators and gateway on their own, put together by the lines that the simulators print."""
    with contextlib.ExitStack() as stack:
        simulators = [stack.enter_context(Simulator(world, vendor)) for vendor in VENDORS]
        configuration = LISTEN + "".join(simulator.configuration for simulator in simulators)
        with Gateway(world, configuration) as gateway, channel(gateway.grpc) as wire:
            stub = api_grpc.ContactCenterStub(wire)
            for vendor in VENDORS.values():
                assert stub.ListAgents(api.ListAgentsRequest(parent=vendor.name)).agents, vendor
                # Passwords are returned only where the configuration says so.
                request = api.AccessSoftphoneCredentialsRequest(parent=vendor.name)
                access = functools.partial(stub.AccessSoftphoneCredentials, request)
                refusal(access, grpc.StatusCode.PERMISSION_DENIED, "ACCESS_DENIED")
        for simulator in simulators:
            simulator.terminate()
            assert simulator.wait() == 0


def a_repeat_after_a_restart(world: World) -> None:
    """The response is on disk, so another process replays it and rings nobody."""
    storage = f'[storage]\npath = "{world.folder / "restart.db"}"\n'
    request = api.StartCallbackRequest(
        parent=ACME, customer_number="13800000000", entry_number="01055500100", request_id=str(uuid.uuid4())
    )
    with Simulator(world, "udesk") as udesk:
        responses = []
        for _ in range(2):
            configuration = LISTEN + storage + udesk.configuration
            with Gateway(world, configuration) as gateway, channel(gateway.grpc) as wire:
                responses.append(api_grpc.ContactCenterStub(wire).StartCallback(request))
        _, state = get(f"http://{udesk.address}/simulator/state")
    assert responses[0] == responses[1], responses
    assert json.loads(state)["callbacks"] == 1, state


def sigterm_drains(world: World) -> None:
    with world.sandbox() as sandbox, channel(sandbox.grpc) as wire:
        stub = api_grpc.ContactCenterStub(wire)
        stub.ListCenters(api.ListCentersRequest())
        # The connection stays open, and idle.
        sandbox.terminate()
        assert sandbox.wait() == 0, sandbox.err
        # The end was not that of drain_timeout.
        assert "calls were still running" not in sandbox.err, sandbox.err


@contextlib.contextmanager
def watched(gateway):
    """Watches the gateway's health by a stream that only the gateway ends; yields the statuses."""
    reported = queue.Queue()

    def listen_to(watch) -> None:
        with contextlib.suppress(grpc.RpcError):
            for response in watch:
                reported.put(response.status)

    with channel(gateway.grpc) as wire:
        watch = health_pb2_grpc.HealthStub(wire).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        threading.Thread(target=listen_to, args=[watch], daemon=True).start()
        assert reported.get(timeout=PATIENCE) == health_pb2.HealthCheckResponse.SERVING
        yield reported


@contextlib.contextmanager
def busy(gateway, vendor):
    """Keeps a call in flight: its vendor never responds."""
    with channel(gateway.grpc) as wire:
        request = api.GetAgentRequest(name=f"{ACME}/agents/1001")
        call = api_grpc.ContactCenterStub(wire).GetAgent.future(request, timeout=PATIENCE)
        connection, _ = vendor.accept()
        with connection:
            yield
        call.cancel()


def of_silent(vendor, udesk) -> str:
    """The configuration of a center whose vendor accepts connections and never responds."""
    silent = "http://{}:{}".format(*vendor.getsockname())
    return re.sub(r'base_url = ".*"', f'base_url = "{silent}"', udesk.configuration)


def a_watched_gateway_ends_with_its_calls(world: World) -> None:
    """A health stream never ends by itself, and no drain waits for it."""
    with Simulator(world, "udesk") as udesk:
        listen = LISTEN + 'drain_timeout = "10m"\n'
        with Gateway(world, listen + udesk.configuration) as gateway, watched(gateway) as reported:
            gateway.terminate()
            assert reported.get(timeout=PATIENCE) == health_pb2.HealthCheckResponse.NOT_SERVING
            assert gateway.wait() == 0, gateway.err
            assert "drain_timeout expired" not in gateway.err, gateway.err


def a_call_that_does_not_end_ends_with_drain_timeout(world: World) -> None:
    with Simulator(world, "udesk") as udesk, socket.create_server(("127.0.0.1", 0)) as vendor:
        listen = LISTEN + 'drain_timeout = "2s"\n'
        with Gateway(world, listen + of_silent(vendor, udesk)) as gateway, busy(gateway, vendor):
            gateway.terminate()
            gateway.until('"draining"', err=True)
            with contextlib.suppress(OSError):  # 503, or no longer there
                status, _ = get(f"http://{gateway.admin}/readyz")
                raise AssertionError(f"/readyz returns {status} while it drains")
            assert gateway.wait() == 0, gateway.err
            assert '"timeout_s":2.0' in gateway.err and "drain_timeout expired with calls in flight" in gateway.err, gateway.err


def a_second_signal_ends_it_at_once(world: World) -> None:
    with Simulator(world, "udesk") as udesk, socket.create_server(("127.0.0.1", 0)) as vendor:
        listen = LISTEN + 'drain_timeout = "10m"\n'
        with Gateway(world, listen + of_silent(vendor, udesk)) as gateway, busy(gateway, vendor):
            gateway.terminate()
            gateway.until('"draining"', err=True)
            # It listens for the second one as soon as it has heard the first.
            for _ in range(50):
                gateway.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    assert gateway.wait(limit=0.2) == 1, gateway.err
                    return
            raise AssertionError("still there")
