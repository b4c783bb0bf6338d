"""What a call costs: GetAgent at each peer, in interleaved rounds."""

import re
import subprocess
import sys
import time

from build import decode
from machine import busy, ours
from peers import CONTRACT, Running, Setting, Vendor, serving

# Connections and streams on each.
SHAPES = [(1, 1), (8, 8), (64, 16)]
# The largest share of calls that may fail, or cost the vendor another number of requests than one. They are counted.
FAILED = 0.01
# The same in both messages: the contract's field, and Udesk's.
FIELDS = {"display_name": "Name", "employee_number": "WorkId", "mobile_number": "Mobile", "email": "Email"}


def rounds(peers: list, setting: Setting, count: int, seconds: float, failures: dict) -> list:
    """The raw measurements. One peer runs at a time; each round begins with another one."""
    found = []
    for number in range(count):
        start = number % len(peers)
        for peer in peers[start:] + peers[:start]:
            if peer.name in failures:
                continue
            print(f"round {number + 1:<6}", peer.title, file=sys.stderr)
            try:
                found += of_peer(peer, setting, number + 1, seconds)
            except (RuntimeError, OSError) as error:
                failures[peer.name] = str(error)
                print(f"failed       {peer.name}: {error}", file=sys.stderr)
    return found


def of_peer(peer, setting: Setting, number: int, seconds: float) -> list:
    """A fresh process, and each shape in turn."""
    found = []
    with serving(peer, setting) as (vendor, running):
        check_answer(running)
        idle = running.process.resident()
        for shape in SHAPES:
            row = {"round": number, "peer": peer.name, "shape": "x".join(map(str, shape))}
            found.append({**row, **of_shape(vendor, running, shape, seconds)})
        extra = {"start_ms": running.start_ms, "idle_mib": idle, "resident_mib": running.process.resident()}
        for row in found:
            row.update(extra)
    return found


def check_answer(running: Running) -> None:
    """Every peer returns the vendor's agent."""
    text = decode(running.peer.message, running.response)
    contract = running.peer.method == CONTRACT
    expected = {
        "display_name": "Agent 100001",
        "employee_number": "W100001",
        "mobile_number": "13277665543",
        "email": "agent-100001@example.com",
    }
    lines = [f'{field if contract else FIELDS[field]}: "{value}"' for field, value in expected.items()]
    if contract:
        lines += ['name: "centers/acme/agents/100001"', "role: AGENT_ROLE_AGENT", "state: AGENT_STATE_OFFLINE"]
        lines += ["enabled: true", 'extensions: "centers/acme/extensions/1145"']
        lines += [f'queues: "centers/acme/queues/{queue}"' for queue in (9003, 9004)]
    else:
        lines += ['ErrCode: "000000"', "State: 4", "Enable: true", 'Extensions: "1145"', 'Role: "agent"']
    missing = [line for line in lines if line not in [found.strip() for found in text.splitlines()]]
    if missing:
        raise RuntimeError(f"{running.peer.name} returns another agent, without {missing}:\n{text}")


def of_shape(vendor: Vendor, running: Running, shape, seconds: float) -> dict:
    """As many calls as should last for these seconds, after some to warm up."""
    warm = load(running, shape, max(1000, 4 * shape[0] * shape[1]))
    calls = max(200, shape[0] * shape[1], int(warm["per_second"] * seconds))
    before, cpu, vendor_cpu = vendor.counts(), running.process.cpu(), vendor.process.cpu()
    others = busy() - ours(running.process, vendor.process)
    begin = time.monotonic()
    measured = load(running, shape, calls)
    took = time.monotonic() - begin
    others = busy() - ours(running.process, vendor.process) - others
    after = vendor.counts()
    spent = running.process.cpu() - cpu
    requests = after["requests"] - before["requests"]
    if abs(requests - calls) > calls * FAILED:
        raise RuntimeError(f"{running.peer.name} sent {requests} requests for {calls} calls")
    return {
        **measured,
        "vendor_requests": requests,
        "cpu_us": spent / calls * 1e6,
        "cpu_busy": spent / took,
        "vendor_busy": (vendor.process.cpu() - vendor_cpu) / took,
        "others_busy": max(0.0, others / took),
        "vendor_connections": after["connections"] - before["connections"],
    }


def load(running: Running, shape, calls: int) -> dict:
    """h2load. Each message is as long as the one that was checked."""
    body, log = running.folder / "body", running.folder / "latencies"
    body.write_bytes(b"\0" + len(running.peer.request).to_bytes(4, "big") + running.peer.request)
    log.unlink(missing_ok=True)
    connections, streams = shape
    command = [
        "h2load", "-n", calls, "-c", connections, "-m", streams, "-t", 1, "-d", body, "--log-file", log,
        "-H", "content-type: application/grpc", "-H", "te: trailers", running.address + running.peer.method,
    ]
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False, text=True)
    patterns = (
        r"finished in .*, ([\d.]+) req/s", r"(\d+) succeeded", r"status codes: (\d+) 2xx", r"headers.*\((\d+)\) data",
    )
    matches = [re.search(pattern, done.stdout) for pattern in patterns]
    if done.returncode != 0 or not all(matches):
        raise RuntimeError(f"h2load failed: {done.stdout}{done.stderr}")
    per_second, succeeded, good, size = (float(match.group(1)) for match in matches)
    # A failed call has a status of gRPC, which h2load does not read, and no message.
    failed, rest = divmod(calls * (5 + len(running.response)) - size, 5 + len(running.response))
    if succeeded != calls or good != calls or rest or not 0 <= failed <= calls * FAILED:
        raise RuntimeError(f"{running.peer.name} answers badly: {done.stdout}\n{running.process.output[-2000:]}")
    latencies = sorted(int(line.rsplit(b"\t", 1)[1]) for line in log.read_bytes().splitlines())
    return {
        "calls": calls,
        "failed": int(failed),
        "per_second": per_second,
        "p50_ms": percentile(latencies, 0.5) / 1e3,
        "p99_ms": percentile(latencies, 0.99) / 1e3,
    }


def percentile(ordered: list, share: float) -> float:
    """By nearest rank."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
