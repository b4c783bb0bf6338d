"""What is printed: medians and ratios, then the goals, then everything."""

import statistics

SHAPES = ("1x1", "8x8", "64x16")
# What other programs may use of a processor during a measurement.
QUIET = 0.05
NOT_MEASURED = [
    "TLS for callers: the gateway serves gRPC without TLS, so only connections to the vendor are encrypted here",
    "a gateway by hand in Node",
    "the gateway's authentication of callers and limits that are off by default",
    "a network: everything shares one machine, also the load generator and the vendor",
]


def median(rows: list, key: str, **where):
    """The median over the rounds, or None if there is none."""
    found = [row[key] for row in rows if key in row and all(row.get(name) == value for name, value in where.items())]
    return statistics.median(found) if found else None


def show(figures: dict) -> None:
    """Everything."""
    about, missing = figures["about"], figures["missing"]
    for key in ("machine", "system"):
        print(f"{key:<13}{about[key]}")
    for key, value in about["versions"].items():
        print(f"{key:<13}{value.splitlines()[0]}")
    print(f"{'method':<13}{about['rounds']} interleaved rounds, {about['seconds']:g} s a load, medians; "
          f"{about['workers']} worker threads a peer unless it says 1; {about['minutes']} minutes")
    others = median([*figures.get("calls", []), *figures.get("tls", []), *figures.get("lists", [])], "others_busy")
    quiet = "" if others < QUIET else ": the machine was BUSY, and these figures mean little"
    print(f"{'others':<13}other programs used {others:.0%} of a processor at the median{quiet}")
    goals = []
    if "calls" in figures:
        print("\n== GetAgent, connections x streams")
        calls(figures["calls"], about["titles"])
        goals += goals_of_calls(figures["calls"])
    if "tls" in figures:
        print("\n== GetAgent, TLS to the vendor")
        calls(figures["tls"], about["titles"])
        goals += goals_of_tls(figures["tls"])
    if "lists" in figures:
        print("\n== Lists")
        lists(figures["lists"], about["titles"])
        goals += goals_of_lists(figures["lists"])
    print("\n== Goals")
    for met, text in goals:
        print(f"{'-' if met is None else 'met' if met else 'NOT MET':<9}{text}")
    print("\n== Not measured")
    for name, reason in missing.items():
        print(f"- {name}: {reason.splitlines()[0]}")
    for text in NOT_MEASURED:
        print(f"- {text}")
    print("\n== Every round")
    for kind in ("calls", "tls", "lists"):
        for row in figures.get(kind, []):
            print(kind, *(f"{key}={number(value)}" for key, value in row.items()))


def number(value) -> str:
    """Short."""
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
    return str(value)


def table(head: list, rows: list) -> None:
    """Columns: the first to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        print(line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:])), sep="  ")


def calls(rows: list, titles: dict) -> None:
    """CPU, rate and latency of each peer, then how the gateway compares."""
    peers = [name for name in titles if any(row["peer"] == name for row in rows)]
    head = ["CPU us a call; calls/s; p99 ms", *SHAPES, "idle MiB", "after MiB", "start ms"]
    lines = []
    for name in peers:
        cells = [titles[name]]
        for shape in SHAPES:
            of = {"peer": name, "shape": shape}
            cells.append("; ".join(number(median(rows, key, **of)) for key in ("cpu_us", "per_second", "p99_ms")))
        cells += [number(median(rows, key, peer=name)) for key in ("idle_mib", "resident_mib", "start_ms")]
        lines.append(cells)
    table(head, lines)
    print()
    head = ["Switchboard beside", *(f"CPU {shape}" for shape in SHAPES), *(f"rate {shape}" for shape in SHAPES)]
    lines, better = [], []
    for name in peers[1:]:
        ratios = [ratio(rows, key, shape, name) for key in ("cpu_us", "per_second") for shape in SHAPES]
        lines.append([titles[name], *(f"{value:.2f}" for value in ratios)])
        wins = [f"CPU at {shape}" for shape, value in zip(SHAPES, ratios[:3]) if value > 1]
        wins += [f"calls/s at {shape}" for shape, value in zip(SHAPES, ratios[3:]) if value < 1]
        wins += [f"p99 at {shape}" for shape in SHAPES if ratio(rows, "p99_ms", shape, name) > 1]
        for key, what in (("resident_mib", "memory"), ("start_ms", "start")):
            if median(rows, key, peer=name) < median(rows, key, peer="switchboard"):
                wins.append(what)
        better.append(f"{titles[name]} is better in: {', '.join(wins) or 'nothing'}")
    table(head, lines)
    print(*better, sep="\n")
    for name in peers:
        failed = sum(row["failed"] for row in rows if row["peer"] == name)
        if failed:
            print(f"{titles[name]} failed {failed} of {sum(row['calls'] for row in rows if row['peer'] == name)} calls")
    busiest = max(row["vendor_busy"] for row in rows)
    print(f"the vendor was busy for at most {busiest:.0%} of a processor")


def ratio(rows: list, key: str, shape: str, name: str) -> float:
    """The gateway's median over the peer's."""
    return median(rows, key, peer="switchboard", shape=shape) / median(rows, key, peer=name, shape=shape)


def goal(text: str, value, limit: float, unit: str = ""):
    """Whether a figure is at most its limit."""
    if value is None:
        return None, f"{text}: not measured"
    return value <= limit, f"{text}: {value:.3g}{unit} (at most {limit:g}{unit})"


def against(rows: list, name: str, shape: str):
    """The ratio of CPU, if the peer was measured."""
    measured = any(row["peer"] == name for row in rows)
    return ratio(rows, "cpu_us", shape, name) if measured else None


def goals_of_calls(rows: list) -> list:
    """Beside the forwarder with as many workers, and beside Envoy."""
    limits = {"1x1": 1.1, "8x8": 1.0, "64x16": 1.0}
    goals = [
        goal(f"CPU of a call beside the forwarder, {shape}", against(rows, "forwarder", shape), limit)
        for shape, limit in limits.items()
    ]
    goals.append(goal("CPU of a call beside Envoy, 8x8", against(rows, "envoy", "8x8"), 0.65))
    goals.append(goal("memory when idle", median(rows, "idle_mib", peer="switchboard"), 25, " MiB"))
    return goals


def goals_of_tls(rows: list) -> list:
    """Beside the forwarder with the same TLS."""
    return [
        goal(f"CPU of a call beside the forwarder, TLS to the vendor, {shape}", against(rows, "forwarder", shape), 1.1)
        for shape in SHAPES
    ]


def lists(rows: list, titles: dict) -> None:
    """Walks, the crowd, and GetAgent beside lists."""
    peers = [name for name in titles if any(row["peer"] == name for row in rows)]
    keys = ["vendor_requests", "vendor_mb", "cpu_ms", "wall_ms", "peak_mib", "remaining_mib"]
    names = ["vendor reads", "vendor MB", "CPU ms", "wall ms", "peak MiB", "MiB after a rest"]
    lines = []
    for agents, page in sorted({(row["agents"], row["page_size"]) for row in rows if row["kind"] == "walks"}):
        for peer in peers:
            of = {"kind": "walks", "peer": peer, "agents": agents, "page_size": page}
            failed = [row["failed"] for row in rows if "failed" in row and of.items() <= row.items()]
            pages = f"pages of {page}" if peer == "switchboard" else "one response"
            title = f"{titles[peer]}: {agents} agents, {pages}"
            if failed:
                lines.append([title, *["-"] * len(keys)])
                print(f"failed: {title}: {failed[0]}")
            elif median(rows, "cpu_ms", **of) is not None:
                lines.append([title, *(cell(median(rows, key, **of)) for key in keys)])
    table(["a walk (memory is above idle)", *names], lines)
    print()
    keys = ["vendor_requests", "cpu_ms", "wall_ms", "peak_mib", "remaining_mib", "refused"]
    names = ["vendor reads", "CPU ms", "wall ms", "peak MiB", "MiB after a rest", "refused"]
    table(
        ["200 lists of 10000 agents at once", *names],
        [[titles[peer], *(cell(median(rows, key, kind="crowd", peer=peer)) for key in keys)] for peer in peers],
    )
    print()
    lines = []
    for peer in peers:
        for callers in sorted({row["callers"] for row in rows if row["kind"] == "beside"}):
            of = {"kind": "beside", "peer": peer, "callers": callers}
            keys = ("p50_ms", "p99_ms", "max_ms", "calls", "walks")
            cells = [cell(median(rows, key, **of)) for key in keys]
            lines.append([f"{titles[peer]}, beside {callers} list callers", *cells])
    table(["GetAgent in sequence", "p50 ms", "p99 ms", "max ms", "calls", "walks beside"], lines)
    for key, what, of in (
        ("cpu_ms", "CPU of a walk over 10000 agents", {"kind": "walks", "agents": 10_000, "page_size": 100}),
        ("wall_ms", "time of that walk", {"kind": "walks", "agents": 10_000, "page_size": 100}),
        ("peak_mib", "memory of 200 lists at once", {"kind": "crowd"}),
        ("p99_ms", "p99 of GetAgent beside 4 list callers", {"kind": "beside", "callers": 4}),
    ):
        ours, theirs = (median(rows, key, peer=peer, **of) for peer in ("switchboard", "forwarder"))
        if ours and theirs:
            verdict = "the forwarder is better in" if theirs < ours else "Switchboard is better in"
            print(f"{verdict} {what}: {number(ours)} beside {number(theirs)}, {ours / theirs:.2f} times")


def cell(value) -> str:
    """A figure, or that there is none."""
    return "-" if value is None else number(float(value))


def goals_of_lists(rows: list) -> list:
    """One read a walk, bounded memory, and nobody waits for a list."""
    walk = {"kind": "walks", "agents": 10_000, "page_size": 100}
    ours = {**walk, "peer": "switchboard"}

    def times(key):
        gateway, forwarder = median(rows, key, **ours), median(rows, key, **walk, peer="forwarder")
        return gateway / forwarder if gateway and forwarder else None

    alone, crowded = (median(rows, "p99_ms", kind="beside", peer="switchboard", callers=callers) for callers in (0, 4))
    crowds = {"kind": "crowd", "peer": "switchboard"}
    large = [row for row in rows if row.get("agents") == 100_000 and row["peer"] == "switchboard"]
    failed = any("failed" in row for row in large)
    return [
        goal("vendor reads of a walk over 10000 agents in pages of 100", median(rows, "vendor_requests", **ours), 1),
        goal("its CPU beside the forwarder's single call", times("cpu_ms"), 2.0),
        goal("its time beside the forwarder's single call", times("wall_ms"), 5.0),
        goal("peak memory of 200 lists of 10000 agents, above idle", median(rows, "peak_mib", **crowds), 150, " MiB"),
        goal("memory that remains of them after a rest", median(rows, "remaining_mib", **crowds), 15, " MiB"),
        goal(
            "p99 of GetAgent beside 4 list callers, above its p99 alone",
            None if alone is None or crowded is None else crowded - alone,
            2.0,
            " ms",
        ),
        (bool(large) and not failed, "a center of 100000 agents can be listed"),
    ]
