#!/usr/bin/env python3
"""A new hire's first day: one program for every center of every vendor.

It lists the queues, creates an agent, puts them into two queues, signs them in, lists the agents of a queue, signs them
out, takes them out of the queues, and removes them. Where vendors differ it reads GetCapabilities, not the name of the vendor.

    mkdir -p target/client
    python -m grpc_tools.protoc -Iproto --python_out=target/client --grpc_python_out=target/client \\
        proto/contactcenter/v1/*.proto
    PYTHONPATH=target/client python examples/first_day.py acme 127.0.0.1:50051

Needs the packages of tests/clients/requirements.txt. examples/first_day.rs is the same program in Rust.
"""

import random
import sys
import uuid

import grpc
from google.protobuf import field_mask_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from contactcenter.v1 import contact_center_pb2 as api
from contactcenter.v1 import contact_center_pb2_grpc as api_grpc
from contactcenter.v1 import resources_pb2 as resources

# What every center must be able to do for this. Agents need not be deletable: then they are disabled.
NEEDED = ("ListQueues", "CreateAgent", "AddAgentQueues", "LoginAgent", "ListAgents", "LogoutAgent", "RemoveAgentQueues")


class Center:
    """A center, and what it can do."""

    def __init__(self, stub, name: str):
        self.stub = stub
        self.name = name
        capabilities = stub.GetCapabilities(api.GetCapabilitiesRequest(name=f"{name}/capabilities"))
        self.vendor = capabilities.vendor
        self.methods = {method.method: method for method in capabilities.methods}

    def can(self, method: str) -> bool:
        return self.methods[method].support in (resources.SUPPORT_NATIVE, resources.SUPPORT_DERIVED)

    def if_taken(self, method: str, field: str, value):
        """The value of a request's field, or none where this center refuses the field."""
        return None if field in self.methods[method].unsupported_fields else value

    def queues_of(self, agent: str) -> str:
        """The names of an agent's queues, for people."""
        queues = self.stub.GetAgent(api.GetAgentRequest(name=agent)).queues
        names = [self.stub.GetQueue(api.GetQueueRequest(name=queue)).display_name for queue in queues]
        return ", ".join(names) or "none"

    def agents_of(self, queue: str) -> list:
        """All agents of a queue, page by page."""
        agents, token = [], ""
        while True:
            page = self.stub.ListAgents(api.ListAgentsRequest(parent=self.name, queue=queue, page_token=token))
            agents += page.agents
            token = page.next_page_token
            if not token:
                return agents


def first_day(center: Center) -> None:
    stub = center.stub
    print(f"{center.name} is a center of {center.vendor}")
    missing = [method for method in NEEDED if not center.can(method)]
    if missing:
        sys.exit(f"first_day: {center.name} has no {', '.join(missing)}")

    queues = stub.ListQueues(api.ListQueuesRequest(parent=center.name)).queues
    print(f"queues: {', '.join(queue.display_name for queue in queues)}")
    if len(queues) < 2:
        sys.exit("first_day: two queues are needed")
    first, second = queues[:2]

    agent = stub.CreateAgent(new_agent(center)).name
    print(f"created {agent}")

    stub.AddAgentQueues(api.AddAgentQueuesRequest(agent=agent, queues=[first.name, second.name]))
    print(f"in the queues: {center.queues_of(agent)}")

    # READY where a center lets us choose; on their own phone where there is no extension to answer on.
    stub.LoginAgent(
        api.LoginAgentRequest(
            name=agent,
            initial_state=center.if_taken("LoginAgent", "initial_state", resources.AGENT_STATE_READY),
            phone_number=center.if_taken("LoginAgent", "phone_number", "13800000000"),
        )
    )
    print("signed in")

    print(f"agents of {first.display_name}: {', '.join(each.display_name for each in center.agents_of(first.name))}")

    stub.LogoutAgent(api.LogoutAgentRequest(name=agent))
    print("signed out")

    stub.RemoveAgentQueues(api.RemoveAgentQueuesRequest(agent=agent, queues=[first.name, second.name]))
    print(f"in the queues: {center.queues_of(agent)}")

    if center.can("DeleteAgent"):
        stub.DeleteAgent(api.DeleteAgentRequest(name=agent))
        print("deleted")
    else:
        mask = field_mask_pb2.FieldMask(paths=["enabled"])
        stub.UpdateAgent(api.UpdateAgentRequest(agent=resources.Agent(name=agent, enabled=False), update_mask=mask))
        print("disabled, because this center deletes no agents")


def new_agent(center: Center) -> api.CreateAgentRequest:
    """Everything that one center or another wants to know, without what this one refuses."""
    number = random.randint(100_000_000, 999_999_999)
    fields = {
        "agent_id": str(number),
        "agent.display_name": "Vera Lund",
        "agent.email": "vera.lund@example.com",
        "agent.mobile_number": "13800000000",
        "agent.employee_number": f"E{number}",
        "agent.login_account": f"vera.lund.{number}",
        "agent.login_password": "First#1d",
        "agent.provision_extensions": True,
    }
    unknown = set(center.methods["CreateAgent"].required_fields) - fields.keys()
    if unknown:
        sys.exit(f"first_day: {center.name} requires {', '.join(sorted(unknown))}")
    taken = {field: center.if_taken("CreateAgent", field, value) for field, value in fields.items()}
    agent_id = taken.pop("agent_id")
    agent = resources.Agent(**{field.removeprefix("agent."): value for field, value in taken.items()})
    # With a request_id, a repeat of this call gets the first response and creates nobody.
    return api.CreateAgentRequest(parent=center.name, agent_id=agent_id, agent=agent, request_id=str(uuid.uuid4()))


def described(error: grpc.RpcError) -> str:
    """An error in one line: its code, its reason, what it says."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return f"{info.metadata['method']}: {error.code().name} {info.reason}: {error.details()}"
    return f"{error.code().name}: {error.details()}"


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: first_day.py CENTER ADDRESS, e.g. first_day.py acme 127.0.0.1:50051")
    _, center, address = sys.argv
    with grpc.insecure_channel(address) as channel:
        try:
            first_day(Center(api_grpc.ContactCenterStub(channel), f"centers/{center}"))
        except grpc.RpcError as error:
            sys.exit(f"first_day: {described(error)}")


if __name__ == "__main__":
    main()
