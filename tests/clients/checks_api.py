"""What a program with a generated client sees."""

import functools
import uuid

import grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from client import channel, refusal
from contactcenter.v1 import contact_center_pb2 as api
from contactcenter.v1 import contact_center_pb2_grpc as api_grpc
from contactcenter.v1 import resources_pb2
from vendors import VENDORS
from world import SERVICE, World, get

ACME, BETA = "centers/acme", "centers/beta"
METHODS = api.DESCRIPTOR.services_by_name["ContactCenter"].methods


def checks(world: World):
    """The checks of this file, by name."""
    with world.sandbox() as sandbox, channel(sandbox.grpc) as wire:
        stub = api_grpc.ContactCenterStub(wire)
        for check in (
            lists_centers,
            capabilities_name_every_method,
            pages_through_all_agents,
            agents_of_a_queue,
            an_agents_day,
            a_queue_is_created,
            a_callback_is_started,
            a_repeated_callback_rings_once,
            softphones,
            empty_requests_are_refused_in_detail,
            an_error_repeats_no_number,
            a_trace_id_is_taken_over,
        ):
            yield named(check), functools.partial(check, stub)
        for check in (
            unknown_methods,
            a_request_above_256_kib,
            garbage_instead_of_a_message,
            the_largest_request_that_is_accepted,
            reflection_v1alpha,
        ):
            yield named(check), functools.partial(check, wire)
        yield named(metrics_count_what_was_called), lambda: metrics_count_what_was_called(stub, sandbox)


def named(check) -> str:
    return f"python: {check.__name__.replace('_', ' ')}"


# === good calls ===


def lists_centers(stub) -> None:
    centers = stub.ListCenters(api.ListCentersRequest()).centers
    expected = sorted((vendor.name, name) for name, vendor in VENDORS.items())
    assert [(center.name, center.vendor) for center in centers] == expected, centers
    for center in centers:
        assert stub.GetCenter(api.GetCenterRequest(name=center.name)) == center


def capabilities_name_every_method(stub) -> None:
    for center in stub.ListCenters(api.ListCentersRequest()).centers:
        request = api.GetCapabilitiesRequest(name=f"{center.name}/capabilities")
        reported = [capability.method for capability in stub.GetCapabilities(request).methods]
        assert reported == [method.name for method in METHODS], reported


def pages_through_all_agents(stub) -> None:
    names, token = [], ""
    while True:
        page = stub.ListAgents(api.ListAgentsRequest(parent=ACME, page_size=5, page_token=token))
        assert len(page.agents) <= 5
        names += [agent.name for agent in page.agents]
        token = page.next_page_token
        if not token:
            break
    assert len(names) == len(set(names)) == page.total_size > 5, names


def agents_of_a_queue(stub) -> None:
    queue_name = f"{ACME}/queues/9001"
    agents = stub.ListAgents(api.ListAgentsRequest(parent=ACME, queue=queue_name)).agents
    assert agents and all(queue_name in agent.queues for agent in agents), agents


def an_agents_day(stub) -> None:
    name = f"{ACME}/agents/1004"
    assert state(stub, name) == resources_pb2.AGENT_STATE_OFFLINE
    stub.LoginAgent(api.LoginAgentRequest(name=name, initial_state=resources_pb2.AGENT_STATE_READY))
    assert state(stub, name) != resources_pb2.AGENT_STATE_OFFLINE
    stub.LogoutAgent(api.LogoutAgentRequest(name=name))
    assert state(stub, name) == resources_pb2.AGENT_STATE_OFFLINE


def state(stub, name: str) -> int:
    return stub.GetAgent(api.GetAgentRequest(name=name)).state


def a_queue_is_created(stub) -> None:
    queue_asked = resources_pb2.Queue(display_name="Night shift")
    created = stub.CreateQueue(api.CreateQueueRequest(parent=ACME, queue=queue_asked))
    queues = {each.name: each.display_name for each in stub.ListQueues(api.ListQueuesRequest(parent=ACME)).queues}
    assert queues[created.name] == "Night shift", queues


def a_callback_is_started(stub) -> None:
    request = api.StartCallbackRequest(
        parent=ACME, customer_number="13800000000", entry_number="01055500100", variables={"order": "7"}
    )
    assert stub.StartCallback(request).call_id


def a_repeated_callback_rings_once(stub) -> None:
    request = api.StartCallbackRequest(
        parent=ACME, customer_number="13800000000", entry_number="01055500100", request_id=str(uuid.uuid4())
    )
    first = stub.StartCallback(request)
    assert stub.StartCallback(request) == first
    request.customer_number = "13800000001"
    refusal(lambda: stub.StartCallback(request), grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    request.request_id = "again"
    _, fields, _ = refusal(lambda: stub.StartCallback(request), grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert fields == ["request_id"], fields


def softphones(stub) -> None:
    config = stub.GetSoftphoneConfig(api.GetSoftphoneConfigRequest(name=f"{BETA}/softphoneConfig"))
    assert config.agent_login_address.port and config.registrars, config
    extensions = stub.ListExtensions(api.ListExtensionsRequest(parent=BETA)).extensions
    assert extensions
    request = api.AccessSoftphoneCredentialsRequest(parent=BETA)
    credentials = stub.AccessSoftphoneCredentials(request).credentials
    assert credentials and all(credential.password for credential in credentials)


# === bad calls ===


def empty_requests_are_refused_in_detail(stub) -> None:
    """All methods are served, and all but ListCenters require a value."""
    for method in METHODS:
        if method.name == "ListCenters":
            continue
        # The generated module holds the contract's own requests under their names.
        call = getattr(stub, method.name)
        request = getattr(api, method.input_type.name)()
        response = functools.partial(list, call(request)) if method.server_streaming else functools.partial(call, request)
        try:
            refusal(response, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        except AssertionError as error:
            raise AssertionError(f"{method.name}: {error}") from error


def an_error_repeats_no_number(stub) -> None:
    number = "not-the-number-13812345678"
    request = api.StartCallbackRequest(parent=ACME, customer_number=number, entry_number="01055500100")
    info, fields, message = refusal(
        lambda: stub.StartCallback(request), grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"
    )
    assert fields == ["customer_number"], fields
    assert "13812345678" not in f"{info}{message}", message


def a_trace_id_is_taken_over(stub) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    metadata = [("traceparent", f"00-{trace}-00f067aa0ba902b7-01")]
    request = api.GetCenterRequest(name="centers/nowhere")
    info, _, _ = refusal(
        lambda: stub.GetCenter(request, metadata=metadata), grpc.StatusCode.NOT_FOUND, "CENTER_NOT_FOUND"
    )
    assert info.metadata["traceId"] == trace, info


def raw(wire, path: str):
    """A method by its path, over bytes."""
    return wire.unary_unary(path, request_serializer=lambda sent: sent, response_deserializer=lambda got: got)


def unknown_methods(wire) -> None:
    for path in (f"/{SERVICE}/DialTheMoon", "/contactcenter.v9.ContactCenter/GetAgent"):
        call = raw(wire, path)
        refusal(lambda call=call: call(b""), grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNSUPPORTED")


def a_request_above_256_kib(wire) -> None:
    stub = api_grpc.ContactCenterStub(wire)
    request = api.GetAgentRequest(name="x" * (256 * 1024 + 1))
    refusal(lambda: stub.GetAgent(request), grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")


def the_largest_request_that_is_accepted(wire) -> None:
    stub = api_grpc.ContactCenterStub(wire)
    request = api.GetAgentRequest(name="x" * (256 * 1024 - 64))
    info, fields, message = refusal(lambda: stub.GetAgent(request), grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert fields == ["name"] and "xxxx" not in f"{info}{message}", info


def garbage_instead_of_a_message(wire) -> None:
    call = raw(wire, f"/{SERVICE}/GetAgent")
    refusal(lambda: call(b"\xff\xff\xff\xff"), grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


# === what is around the contract ===


def reflection_v1alpha(wire) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(wire)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="google.rpc.ErrorInfo"),
    ]
    services, contract, details = list(stub.ServerReflectionInfo(iter(requests)))
    assert SERVICE in [service.name for service in services.list_services_response.service], services
    assert contract.file_descriptor_response.file_descriptor_proto
    assert details.file_descriptor_response.file_descriptor_proto


def metrics_count_what_was_called(stub, sandbox) -> None:
    def handled() -> float:
        labels = ('grpc_code="OK"', 'grpc_method="GetAgent"')
        _, text = get(f"http://{sandbox.admin}/metrics")
        lines = [line for line in text.splitlines() if line.startswith("grpc_server_handled_total{")]
        (line,) = [line for line in lines if all(label in line for label in labels)]
        return float(line.rsplit(" ", 1)[1])

    before = handled()
    stub.GetAgent(api.GetAgentRequest(name=f"{ACME}/agents/1001"))
    assert handled() == before + 1
    for path in ("healthz", "readyz"):
        assert get(f"http://{sandbox.admin}/{path}") == (200, "ok\n")
