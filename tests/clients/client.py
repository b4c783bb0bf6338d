"""How a program calls the gateway, and reads its refusals."""

import contextlib

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from contactcenter.v1 import errors_pb2
from world import PATIENCE


@contextlib.contextmanager
def channel(address: str):
    """One connection of its own, used for everything."""
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as wire:
        grpc.channel_ready_future(wire).result(PATIENCE)
        yield wire


def refusal(call, code: grpc.StatusCode, reason: str):
    """The details of a call that must fail so, by type. Every error has exactly one ErrorInfo, of a known reason."""
    try:
        call()
    except grpc.RpcError as raised:
        error = raised
    else:
        raise AssertionError(f"succeeded, expected {reason}")
    reported = f"{error.code()}: {error.details()}"
    status = rpc_status.from_call(error)
    assert status is not None, f"{reported}: without details"
    kinds = {}
    for detail in status.details:
        kinds.setdefault(detail.type_url.rsplit(".", 1)[-1], []).append(detail)
    assert len(kinds.get("ErrorInfo", [])) == 1, f"{reported}: {status}"
    info = error_details_pb2.ErrorInfo()
    assert kinds["ErrorInfo"][0].Unpack(info)
    assert info.domain == "contactcenter.gateway", info
    assert info.reason in errors_pb2.ErrorReason.keys(), info
    assert info.reason == reason, f"{reported}: {info.reason}, expected {reason}"
    assert error.code() == code, f"{reported}, expected {code}"
    assert status.ByteSize() < 4096, f"{status.ByteSize()} bytes"
    assert info.metadata["method"] and len(info.metadata["traceId"]) == 32, info
    fields = []
    for detail in kinds.get("BadRequest", []):
        bad = error_details_pb2.BadRequest()
        assert detail.Unpack(bad)
        fields += [violation.field for violation in bad.field_violations]
    return info, fields, error.details()
