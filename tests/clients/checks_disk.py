"""What is acknowledged is on disk: the order of the gateway's own system calls, as strace sees it.

A process that is killed loses nothing that it had given to the system, so that killing it cannot tell whether it had asked
for it to be on disk. Its system calls can.
"""

import dataclasses
import functools
import re
import signal
import socket
import threading
import time

from world import LISTEN, PATIENCE, Gateway, World

# One after the other, and at once.
SINGLE = 30
TOGETHER = 256

SECRET = "console-secret-9f3a"
CENTER = f"""[centers.beta]
vendor = "huawei"
base_url = "http://127.0.0.1:1"
allow_plaintext = true
app_key = "key"
app_secret = "secret-of-the-app"
callback_secret = "{SECRET}"
"""

# Whatever gives bytes to a file or a peer, or asks for a file to be on disk. Whole pages of the database are shown.
CALLS = "fsync,fdatasync,pwrite64,pwritev,write,writev,sendto,sendmsg"
STRACE = ("strace", "-D", "-f", "--seccomp-bpf", "-q", "-yy", "-s", "8192", "-e", "signal=none", "-e", f"trace={CALLS}")


def checks(world: World):
    """The checks of this file, by name."""
    yield "disk: what is acknowledged was on disk before", functools.partial(acknowledged_after_the_disk, world)


@dataclasses.dataclass
class Call:
    """A system call, between two lines of the trace: what one ends before another begins happened before it."""

    begun: int
    ended: int
    name: str
    text: str

    @property
    def is_sync(self) -> bool:
        """Whether it brought the database's write-ahead log to disk."""
        return self.name in ("fsync", "fdatasync") and bool(re.search(r"\.db-wal>\) += 0$", self.text))

    @property
    def is_log(self) -> bool:
        """Whether it wrote to the write-ahead log."""
        return self.name.startswith("pwrite") and ".db-wal>" in self.text

    def acknowledged(self, address: str):
        """The peer's port, if it says 200 to a peer of this address."""
        peer = re.match(rf"\w+\(\d+<TCP:\[{re.escape(address)}->[^]>]*:(\d+)\]>, .*\"HTTP/1\.1 200 ", self.text)
        return int(peer.group(1)) if peer else None


def acknowledged_after_the_disk(world: World) -> None:
    """Each body is written to the log, then the log is synced, and then the response is 200; posts at once share syncs."""
    trace = world.folder / "trace"
    with Gateway(world, LISTEN + CENTER, wrapper=(*STRACE, "-o", str(trace))) as gateway:
        # All stay open to the end, so that a port is of one connection.
        single = connect(gateway)
        bodies = {port(single): [marker(number) for number in range(SINGLE)]}
        for body in list(bodies[port(single)]):
            single.sendall(request(body))
            acknowledged(single)
        together = [connect(gateway) for _ in range(TOGETHER)]
        for number, connection in enumerate(together, SINGLE):
            bodies[port(connection)] = [marker(number)]
            connection.sendall(request(marker(number))[:-1])
        # All at once, for a gateway that sleeps meanwhile; strace sleeps with it.
        gateway.process.send_signal(signal.SIGSTOP)
        for connection in together:
            connection.sendall(b"}")
        gateway.process.send_signal(signal.SIGCONT)
        for connection in together:
            acknowledged(connection)
        for connection in (single, *together):
            connection.close()
        gateway.terminate()
        assert gateway.wait() == 0, gateway.err
        calls = read(trace, gateway.process.pid)

    syncs = [call for call in calls if call.is_sync]
    writes = [call for call in calls if call.is_log]
    responses = [(call, peer) for call in calls if (peer := call.acknowledged(gateway.http)) is not None]
    assert len(responses) == SINGLE + TOGETHER, f"{len(responses)} responses in the trace"
    for response, peer in responses:
        body = bodies[peer].pop(0)
        written = next((call for call in writes if body in call.text), None)
        assert written, f"{body} was never written to the log"
        assert any(written.ended < sync.begun and sync.ended < response.begun for sync in syncs), (
            f"{body} was acknowledged with 200 before it was on disk:\n{written.text[:60]}\n{response.text[:120]}"
        )
    last_single = responses[SINGLE - 1][0].ended
    shared = sum(sync.begun > last_single for sync in syncs)
    assert 0 < shared <= TOGETHER // 4, f"{shared} syncs for {TOGETHER} posts at once"


def marker(number: int) -> str:
    """What one body is known by."""
    return f"disk-{number:06}"


def request(body: str) -> bytes:
    """A post, which ends with `}`."""
    text = f'{{"callSerialNo":"{body}","uuid":"{body}"}}'
    head = f"POST /callbacks/beta/{SECRET} HTTP/1.1\r\nhost: gateway\r\ncontent-length: {len(text)}\r\n\r\n"
    return (head + text).encode()


def connect(gateway: Gateway) -> socket.socket:
    """A connection to the address of callbacks."""
    host, number = gateway.http.rsplit(":", 1)
    return socket.create_connection((host, int(number)), timeout=PATIENCE)


def port(connection: socket.socket) -> int:
    """By which the gateway's responses on it are known."""
    return connection.getsockname()[1]


def acknowledged(connection: socket.socket) -> None:
    """Waits for a whole response, which must be 200."""
    response = b""
    while not response.endswith(b'"}'):
        more = connection.recv(4096)
        assert more, f"the connection ended after {response!r}"
        response += more
    assert response.startswith(b"HTTP/1.1 200 "), response


def read(trace, process: int) -> list:
    """The calls of a trace, in the order they began, once the trace says that the process ended."""
    limit = time.monotonic() + PATIENCE
    tick = threading.Event()
    while not re.search(rf"^{process} +\+\+\+ exited", text := trace.read_text(), re.MULTILINE):
        assert time.monotonic() < limit, "strace does not come to the end"
        tick.wait(0.05)
    calls, unfinished = [], {}
    for number, line in enumerate(text.splitlines()):
        thread, rest = line.split(maxsplit=1)
        resumed = re.match(r"<\.\.\. (\w+) resumed>(.*)", rest)
        if resumed:
            call = unfinished.pop(thread)
            call.ended, call.text = number, call.text + resumed.group(2)
        elif name := re.match(r"(\w+)\(", rest):
            call = Call(number, number, name.group(1), rest.removesuffix("<unfinished ...>").rstrip())
            calls.append(call)
            if rest.endswith("<unfinished ...>"):
                unfinished[thread] = call
    # What never ended did nothing that can be relied on.
    return [call for call in calls if not any(call is open for open in unfinished.values())]
