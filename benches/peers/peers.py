"""What is measured: how each peer starts, and which call it serves."""

import contextlib
import dataclasses
import json
import pathlib
import re
import subprocess
import time
import urllib.request

from build import BIN, OUT
from machine import PATIENCE, Process, free_port

AGENT = "100001"
IDENTITY = {"app_id": "7859ff65-0e6a-4340-6cae-a6e3c39a6012", "sid": "peers", "auth_token": "no-secret"}
CONTRACT = "/contactcenter.v1.ContactCenter/GetAgent"


@dataclasses.dataclass
class Setting:
    """What every peer is started with."""

    gateway: pathlib.Path
    folder: pathlib.Path
    workers: int
    # The folder of the certificates, if the vendor serves TLS.
    tls: pathlib.Path | None = None
    started: int = 0

    def subfolder(self) -> pathlib.Path:
        """A new one."""
        self.started += 1
        return self.folder / str(self.started)

    @property
    def environment(self) -> dict:
        """The certificates that clients of the vendor trust."""
        return {"SSL_CERT_FILE": str(self.tls / "ca.pem")} if self.tls else {}


class Vendor:
    """The stub vendor."""

    def __init__(self, setting: Setting, agents: int = 100):
        command = [BIN / "vendor", "--agents", agents]
        if setting.tls:
            command += ["--tls-certificate", setting.tls / "vendor.pem", "--tls-key", setting.tls / "vendor.key"]
        self.process = Process(command, setting.subfolder())
        limit = time.monotonic() + PATIENCE
        pattern = r"listening on (\S+)\ncounts at (\S+)\n"
        while not (match := re.search(pattern, self.process.output)):
            if self.process.process.poll() is not None or time.monotonic() > limit:
                self.process.stop()
                raise RuntimeError(f"the vendor does not start: {self.process.output}")
            time.sleep(0.01)
        self.address, self.admin = match.groups()
        self.url = f"{'https' if setting.tls else 'http'}://{self.address}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()

    def counts(self) -> dict:
        """Connections, requests and bytes so far."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{self.admin}/counts", timeout=PATIENCE) as response:
            return json.load(response)


@dataclasses.dataclass
class Peer:
    """One of those that are measured."""

    name: str
    title: str
    command: object
    method: str = CONTRACT
    message: str = "contactcenter.v1.Agent"
    # Sends signed requests, and can send them over TLS.
    signed: bool = True
    needs: str = ""

    @property
    def request(self) -> bytes:
        """The encoded request: a string in the first field, here as there."""
        name = f"centers/acme/agents/{AGENT}" if self.method == CONTRACT else AGENT
        return b"\x0a" + bytes([len(name)]) + name.encode()


class Running:
    """A peer that serves, after its first good answer."""

    def __init__(self, peer: Peer, setting: Setting, vendor: Vendor):
        self.peer, self.folder = peer, setting.subfolder()
        self.folder.mkdir(parents=True)
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        command, environment = peer.command(setting, vendor, port, self.folder)
        self.body = self.folder / "request"
        self.body.write_bytes(peer.request)
        # Waits for the peer before the peer starts, so that its own start costs the peer no time.
        call = [BIN / "walker", "call", "--address", self.address, "--method", peer.method, "--request", self.body]
        with subprocess.Popen(
            [str(word) for word in call], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as waiting:
            time.sleep(0.05)
            self.process = Process(command, self.folder, {**setting.environment, **environment})
            try:
                response, error = waiting.communicate()
            except BaseException:
                # Ended by a signal.
                waiting.kill()
                self.process.stop()
                raise
        if waiting.returncode != 0:
            self.process.stop()
            raise RuntimeError(f"{peer.name} does not answer: {error.decode().strip()}\n{self.process.output[-2000:]}")
        self.response = response
        self.start_ms = (int(error) - self.process.started) / 1e6

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()


def signed_arguments(vendor: Vendor) -> list:
    """The same flags everywhere."""
    pairs = {"base_url": vendor.url, **IDENTITY}
    return [word for key, value in pairs.items() for word in (f"--{key.replace('_', '-')}", value)]


def start_gateway(setting: Setting, vendor: Vendor, port: int, folder: pathlib.Path):
    """switchboard serve, with its defaults."""
    lines = [
        "[listen]",
        f'grpc = "127.0.0.1:{port}"',
        'http = "127.0.0.1:0"',
        'admin = "127.0.0.1:0"',
        "[centers.acme]",
        'vendor = "udesk"',
        f'base_url = "{vendor.url}"',
        f"allow_plaintext = {'false' if setting.tls else 'true'}",
        *(f'{key} = "{value}"' for key, value in IDENTITY.items()),
    ]
    file = folder / "switchboard.toml"
    file.write_text("\n".join(lines) + "\n")
    return [setting.gateway, "serve", "--config", file], {"TOKIO_WORKER_THREADS": str(setting.workers)}


def start_forwarder(workers: int):
    """The bare forwarder."""

    def start(_setting, vendor: Vendor, port: int, _folder):
        listen = ["--listen", f"127.0.0.1:{port}", "--workers", workers]
        return [BIN / "forwarder", *listen, *signed_arguments(vendor)], {}

    return start


def start_go(setting: Setting, vendor: Vendor, port: int, _folder):
    """The gateway by hand in Go."""
    command = [BIN / "gateway", "--listen", f"127.0.0.1:{port}", *signed_arguments(vendor)]
    return command, {"GOMAXPROCS": str(setting.workers)}


def start_vanguard(setting: Setting, vendor: Vendor, port: int, _folder):
    """vanguard-go."""
    command = [BIN / "vanguard", "--listen", f"127.0.0.1:{port}", "--base-url", vendor.url]
    return command, {"GOMAXPROCS": str(setting.workers)}


def start_envoy(setting: Setting, vendor: Vendor, port: int, folder: pathlib.Path):
    """Envoy, with limits that no measurement reaches."""
    kinds = "type.googleapis.com/envoy.extensions"
    host, vendor_port = vendor.address.split(":")
    transcoder = {
        "@type": f"{kinds}.filters.http.grpc_json_reverse_transcoder.v3.GrpcJsonReverseTranscoder",
        "descriptor_path": str(OUT / "udesk.binpb"),
    }
    router = {"@type": f"{kinds}.filters.http.router.v3.Router"}
    manager = {
        "@type": f"{kinds}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "grpc",
        "codec_type": "HTTP2",
        "http_filters": [
            {"name": "envoy.filters.http.grpc_json_reverse_transcoder", "typed_config": transcoder},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "vendor", "timeout": "60s"}}],
                }
            ]
        },
    }
    limits = {key: 1_000_000 for key in ("max_connections", "max_pending_requests", "max_requests")}
    cluster = {
        "name": "vendor",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": "vendor",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(host, int(vendor_port))}}]}],
        },
    }
    listener = {
        "address": socket_address("127.0.0.1", port),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    file = folder / "envoy.json"
    file.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}))
    command = [BIN / "envoy", "-c", file, "--concurrency", setting.workers, "--log-level", "error"]
    return [*command, "--disable-hot-restart"], {}


def socket_address(host: str, port: int) -> dict:
    """An address in Envoy's words."""
    return {"socket_address": {"address": host, "port_value": port}}


def all_peers(workers: int) -> list:
    """The gateway first."""
    transcoder = {"method": "/udesk.v1.Agents/GetAgent", "message": "udesk.v1.GetAgentResponse", "signed": False}
    forwarders = [Peer("forwarder", f"bare forwarder, {workers} workers", start_forwarder(workers), needs="forwarder")]
    if workers > 1:
        forwarders.append(Peer("forwarder-1", "bare forwarder, 1 worker", start_forwarder(1), needs="forwarder"))
    return [
        Peer("switchboard", f"Switchboard, {workers} workers", start_gateway, needs="gateway"),
        *forwarders,
        Peer("envoy", "Envoy, reverse transcoder, unsigned", start_envoy, **transcoder, needs="envoy"),
        Peer("go", "Go by hand: grpc-go, net/http", start_go, needs="go"),
        Peer("vanguard", "vanguard-go, unsigned", start_vanguard, **transcoder, needs="go"),
    ]


@contextlib.contextmanager
def serving(peer: Peer, setting: Setting, agents: int = 100):
    """A vendor and a peer in front of it."""
    with Vendor(setting, agents) as vendor, Running(peer, setting, vendor) as running:
        yield vendor, running
