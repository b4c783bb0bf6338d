"""What a list costs: whole walks, a crowd of first pages, and a call beside them."""

import json
import subprocess
import sys
import time

from build import BIN
from machine import Process, busy, ours
from peers import AGENT, Setting, serving

SIZES = [10_000, 100_000]
PAGES = [100, 500]
# Callers that list in a loop beside GetAgent.
NEIGHBOURS = [0, 2, 4]
CROWD = 200
# A kept list lives for a minute after its last page.
REST = 75
# The most walks that one figure is the mean of.
WALKS = 20


def walker(running, command: str, page_size: int, *arguments) -> dict:
    """One measurement by the compiled client."""
    words = [BIN / "walker", command, "--address", running.address, "--center", "acme", "--page-size", page_size]
    done = subprocess.run([str(word) for word in [*words, *arguments]], capture_output=True, check=False, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def rounds(peers: list, setting: Setting, count: int, seconds: float, rest: bool) -> list:
    """The raw measurements of the gateway, and of the forwarder, which has one page for everything."""
    found = []
    for number in range(count):
        turn = peers if number % 2 == 0 else peers[::-1]
        for peer in turn:
            # Memory that stays needs no repetition.
            jobs = [(walks, (size, page, rest and number == 0 and page == PAGES[0]))
                    for size in SIZES for page in (PAGES if peer.name == "switchboard" else PAGES[:1])]
            jobs += [(crowd, (rest and number == 0,))]
            jobs += [(beside, (callers, seconds)) for callers in NEIGHBOURS]
            for job, arguments in jobs:
                print(f"round {number + 1:<6}", peer.title, job.__name__, *arguments, file=sys.stderr)
                row = {"round": number + 1, "peer": peer.name, "kind": job.__name__}
                found.append({**row, **job(peer, setting, seconds, *arguments)})
    return found


def walks(peer, setting: Setting, seconds: float, agents: int, page_size: int, rest: bool) -> dict:
    """Walks in sequence until these seconds have passed. The first one warms up, and its peak counts."""
    row = {"agents": agents, "page_size": page_size}
    with serving(peer, setting, agents) as (vendor, running):
        process = running.process
        idle = process.resident()
        process.reset_peak()
        try:
            check(walker(running, "walk", page_size), agents)
            row |= {"idle_mib": idle, "peak_mib": process.peak() - idle}
            before, cpu, done = vendor.counts(), process.cpu(), []
            begin, others = time.monotonic(), busy() - ours(process, vendor.process)
            end = begin + seconds
            while not done or (time.monotonic() < end and len(done) < WALKS):
                done.append(check(walker(running, "walk", page_size), agents))
        except RuntimeError as error:
            return row | {"failed": str(error)}
        after = vendor.counts()
        others = busy() - ours(process, vendor.process) - others
        row |= {
            "others_busy": max(0.0, others / (time.monotonic() - begin)),
            "walks": len(done),
            "pages": done[0]["pages"],
            "vendor_requests": (after["requests"] - before["requests"]) / len(done),
            "vendor_mb": (after["bytes"] - before["bytes"]) / len(done) / 1e6,
            "cpu_ms": (process.cpu() - cpu) / len(done) * 1e3,
            "wall_ms": sum(walk["seconds"] for walk in done) / len(done) * 1e3,
        }
        return row | remaining(process, idle, rest)


def check(walk: dict, agents: int) -> dict:
    """Each agent came once."""
    if walk["agents"] != agents or walk["different_agents"] != agents:
        raise RuntimeError(f"a walk over {agents} agents listed {walk}")
    return walk


def crowd(peer, setting: Setting, _seconds: float, rest: bool) -> dict:
    """Many first pages at once."""
    with serving(peer, setting, SIZES[0]) as (vendor, running):
        process = running.process
        idle, before, cpu = process.resident(), vendor.counts(), process.cpu()
        process.reset_peak()
        found = walker(running, "crowd", PAGES[0], "--callers", CROWD)
        row = {
            "idle_mib": idle,
            "peak_mib": process.peak() - idle,
            "vendor_requests": vendor.counts()["requests"] - before["requests"],
            "cpu_ms": (process.cpu() - cpu) * 1e3,
            "wall_ms": found["seconds"] * 1e3,
            "refused": found["failed"],
            "first_refusal": found["first_failure"],
        }
        return row | remaining(process, idle, rest)


def remaining(process: Process, idle: float, rest: bool) -> dict:
    """Memory above idle, at once and after a rest."""
    row = {"after_mib": process.resident() - idle}
    if rest:
        time.sleep(REST)
        row["remaining_mib"] = process.resident() - idle
    return row


def beside(peer, setting: Setting, _seconds: float, callers: int, seconds: float) -> dict:
    """GetAgent in sequence beside callers that list everything in a loop."""
    with serving(peer, setting, SIZES[0]) as (_, running):
        arguments = ["--callers", callers, "--seconds", seconds, "--agent", AGENT]
        try:
            found = walker(running, "beside", PAGES[1], *arguments)
        except RuntimeError as error:
            return {"callers": callers, "failed": str(error)}
        return {"callers": callers, **found}
