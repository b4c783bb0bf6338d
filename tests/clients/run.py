#!/usr/bin/env python3
"""Drives a built switchboard as its users do: with grpcurl, with a generated Python client, and from a shell.

    python tests/clients/run.py --binary target/debug/switchboard

Needs grpcurl on the PATH (or --grpcurl), strace, and the packages of requirements.txt. Every check has a line of
its own; the last line counts them. Exit codes: 0 all passed, 1 otherwise.
"""

import argparse
import pathlib
import shutil
import signal
import sys
import tempfile
import traceback

from world import ROOT, World, generate_client


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/debug/switchboard")
    parser.add_argument("--grpcurl", default="grpcurl")
    parser.add_argument("--only", default="", help="run the checks with this in their name")
    arguments = parser.parse_args()
    grpcurl = shutil.which(arguments.grpcurl)
    if grpcurl is None:
        parser.error("grpcurl is missing: go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3")
    if not arguments.binary.is_file():
        parser.error(f"{arguments.binary} is missing: cargo build")
    # Ends by an exception, so that the processes started here end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    with (
        tempfile.TemporaryDirectory() as folder,
        World(arguments.binary.resolve(), grpcurl, pathlib.Path(folder)) as world,
    ):
        generate_client(world)
        # These import the generated client.
        import checks_api
        import checks_commands
        import checks_disk
        import checks_documents
        import checks_events
        import checks_examples
        import checks_grpcurl
        import checks_processes

        passed, failed = 0, 0
        suites = (
            checks_grpcurl,
            checks_api,
            checks_processes,
            checks_disk,
            checks_commands,
            checks_examples,
            checks_documents,
            checks_events,
        )
        for suite in suites:
            for name, check in suite.checks(world):
                if arguments.only not in name:
                    continue
                try:
                    check()
                except Exception as error:  # the other checks still run
                    failed += 1
                    print(f"FAILED  {name}")
                    reported = str(error) if isinstance(error, AssertionError) and str(error) else traceback.format_exc()
                    print("        " + reported.strip().replace("\n", "\n        "), flush=True)
                else:
                    passed += 1
                    print(f"ok      {name}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
