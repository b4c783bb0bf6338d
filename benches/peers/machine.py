"""Processes, as the kernel counts them, and the machine that they run on."""

import os
import pathlib
import platform
import resource
import signal
import socket
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 30.0


class Process:
    """A process that runs until it is stopped. What it prints goes to a file."""

    def __init__(self, command, folder: pathlib.Path, environment=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.out_file = folder / "output"
        self.started = time.time_ns()
        with self.out_file.open("wb") as out:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def output(self) -> str:
        """Everything that it printed."""
        return self.out_file.read_text(errors="replace")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that stays."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE / 2)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _family(self) -> list:
        """Itself and its descendants."""
        found = [self.process.pid]
        for pid in found:
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
                found += [int(child) for child in (task / "children").read_text().split()]
        return found

    def cpu(self) -> float:
        """CPU time so far, in seconds."""
        ticks = 0
        for pid in self._family():
            # After the name, which may contain anything: utime, stime, and those of children that ended.
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
        return ticks / TICK

    def _memory(self, key: str) -> float:
        total = 0
        for pid in self._family():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(f"{key}:"):
                    total += int(line.split()[1])
        return total / 1024

    def resident(self) -> float:
        """Resident memory, in MiB."""
        return self._memory("VmRSS")

    def peak(self) -> float:
        """The most since reset_peak, in MiB."""
        return self._memory("VmHWM")

    def reset_peak(self) -> None:
        """Lets peak begin anew."""
        for pid in self._family():
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def busy() -> float:
    """CPU time that all processors spent so far, in seconds: user, nice, system, steal."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(int(fields[column]) for column in (0, 1, 2, 7)) / TICK


def ours(*processes: Process) -> float:
    """That of these processes, of this script and of the commands that it ran."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + sum(process.cpu() for process in processes)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def output(*command) -> str:
    """What a command prints, without its end."""
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False, text=True)
    return (done.stdout + done.stderr).strip()


def description() -> dict:
    """The machine."""
    model = next(
        (line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": f"{os.cpu_count()} x {model}, {memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
    }
