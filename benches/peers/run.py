#!/usr/bin/env python3
"""Measures the gateway beside its peers: what a GetAgent call costs, and with --lists what a list costs.

    python3 benches/peers/run.py
    python3 benches/peers/run.py --all --json target/peers/figures.json

Builds everything into target/peers first. Needs Rust, Go 1.26, h2load (Debian: nghttp2-client), Python with venv, and
for --tls openssl. A peer that cannot be built is left out, and the output says so. README.md says what each peer is.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import build
import calls
import lists
import report
from build import Missing
from machine import description, output
from peers import Setting, all_peers

# Peers with an encrypted side: the others show nothing that these do not.
ENCRYPTED = ("switchboard", "forwarder")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="about how long one load lasts (default: 5)")
    parser.add_argument("--only", default="", help="these peers, separated by commas, and always the gateway")
    parser.add_argument("--lists", action="store_true", help="lists instead of calls")
    parser.add_argument("--tls", action="store_true", help="calls over TLS to the vendor: gateway and forwarder")
    parser.add_argument("--all", action="store_true", help="calls, lists and TLS")
    parser.add_argument("--no-rest", action="store_true", help=f"do not wait {lists.REST} s for what memory remains")
    parser.add_argument("--gateway", type=pathlib.Path, help="a built gateway, instead of a build")
    parser.add_argument("--json", type=pathlib.Path, help="write everything to this file; plot.py reads it")
    arguments = parser.parse_args()
    # Ends by an exception, so that the processes started here end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    missing = {}
    try:
        build.find("h2load", "Debian: nghttp2-client")
        gateway, peers = built(arguments, missing)
    except Missing as error:
        print(error, file=sys.stderr)
        return 1
    figures = {"about": about(gateway, peers, arguments), "missing": missing}
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(gateway, pathlib.Path(folder), figures["about"]["workers"])
        if arguments.all or not (arguments.lists or arguments.tls):
            figures["calls"] = calls.rounds(peers, setting, arguments.rounds, arguments.seconds, missing)
        encrypted = [peer for peer in peers if peer.name in ENCRYPTED]
        if arguments.all or arguments.tls:
            setting.tls = certificates(setting.folder)
            figures["tls"] = calls.rounds(encrypted, setting, arguments.rounds, arguments.seconds, missing)
            setting.tls = None
        if arguments.all or arguments.lists:
            figures["lists"] = lists.rounds(
                encrypted, setting, arguments.rounds, arguments.seconds, not arguments.no_rest
            )
    figures["about"]["minutes"] = round((time.monotonic() - begin) / 60, 1)
    report.show(figures)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def built(arguments, missing: dict):
    """The gateway, and the peers that could be built. The forwarder's crate has the vendor and the client too."""
    gateway = arguments.gateway or build.gateway()
    if not gateway.is_file():
        raise Missing(f"{gateway} is missing")
    build.forwarder()
    build.python()
    wanted = [name for name in arguments.only.split(",") if name]
    peers = all_peers(workers())
    unknown = set(wanted) - {peer.name for peer in peers}
    if unknown:
        raise Missing(f"no such peer: {', '.join(unknown)} ({' '.join(peer.name for peer in peers)})")
    if (arguments.lists or arguments.tls) and not arguments.all:
        wanted = wanted or list(ENCRYPTED)
    peers = [peer for peer in peers if not wanted or peer.name in ("switchboard", *wanted)]
    for need, builder in (("envoy", build.envoy), ("go", build.go)):
        needing = [peer for peer in peers if peer.needs == need]
        if needing:
            try:
                builder()
            except Missing as error:
                missing.update({peer.name: str(error) for peer in needing})
    return gateway.resolve(), [peer for peer in peers if peer.name not in missing]


def workers() -> int:
    """Threads of each peer: as many as the gateway has, one for each processor."""
    return len(os.sched_getaffinity(0))


def about(gateway: pathlib.Path, peers: list, arguments) -> dict:
    """Machine, versions, and how it was measured."""
    versions = {
        "switchboard": f"{output(gateway, '--version')}, {'built elsewhere' if arguments.gateway else commit()}",
        "rustc": output(build.find("rustc", "rustup.rs"), "--version"),
        "h2load": output("h2load", "--version"),
    }
    if any(peer.needs == "go" for peer in peers):
        versions["go"] = output(build.find("go", "go.dev"), "version")
        modules = (build.HERE / "go/go.mod").read_text().splitlines()
        wanted = ("connectrpc.com/vanguard ", "google.golang.org/grpc ")
        versions["modules"] = ", ".join(line.strip() for line in modules if line.strip().startswith(wanted))
    if any(peer.needs == "envoy" for peer in peers):
        versions["envoy"] = output(build.BIN / "envoy", "--version").split("version: ")[-1]
    return {
        **description(),
        "workers": workers(),
        "versions": versions,
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "titles": {peer.name: peer.title for peer in peers},
    }


def commit() -> str:
    """What the gateway was built from."""
    head = output("git", "-C", build.ROOT, "rev-parse", "--short", "HEAD")
    changed = output("git", "-C", build.ROOT, "status", "--porcelain", "--untracked-files=no")
    return f"commit {head}{' and changes' if changed else ''}"


def certificates(folder: pathlib.Path) -> pathlib.Path:
    """An authority and the vendor's certificate, for this run."""
    openssl = build.find("openssl", "Debian: openssl")
    place = folder / "tls"
    place.mkdir()
    (place / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for command in (
        ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=peers"],
        ["req", *key, "-keyout", "vendor.key", "-out", "vendor.csr", "-subj", "/CN=127.0.0.1"],
        ["x509", "-req", "-in", "vendor.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
         "-out", "vendor.pem", "-days", "2", "-extfile", "extensions"],
    ):
        subprocess.run([openssl, *command], cwd=place, check=True, capture_output=True)
    return place


if __name__ == "__main__":
    sys.exit(main())
