"""`python -m tests.fuzz`: every decoder, on inputs that atheris finds, within a bound of time and memory for each.

Needs atheris, which is none of the development tools: pip install 'aimstore[fuzz]'. An input that breaks the law is left in
`fuzz-failures/`; mend the decoder, and add the input to `tests/fuzz/corpus` with `--keep`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FAILURES = Path("fuzz-failures")
MEMORY = 2048
"""MB of a process at most, in which one decoder is tried."""

KEPT = 48
LONGEST_KEPT = 192
"""Inputs that a campaign keeps at most for each decoder, and bytes of each."""


def fuzz(target: str, folder: Path, arguments: argparse.Namespace) -> None:
    """Try one decoder in this process, which then ends."""
    import atheris

    with atheris.instrument_imports(include=["aimstore", "tests.fuzz.targets"]):
        from tests.fuzz.targets import TARGETS
    from tests.fuzz.bounds import bounded
    from tests.fuzz.corpus import load

    for number, data in enumerate([*TARGETS[target].samples, *load(target)]):
        (folder / f"sample-{number}").write_bytes(data)
    FAILURES.mkdir(exist_ok=True)
    options = [
        f"-runs={arguments.inputs}", f"-seed={arguments.seed}", f"-max_len={arguments.longest}", "-timeout=30",
        f"-rss_limit_mb={MEMORY}", f"-artifact_prefix={FAILURES}/{target.replace(' ', '_')}-", "-reload=0",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(folder)], bounded(TARGETS[target].check))
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="for each decoder")
    parser.add_argument("--longest", type=int, default=1024, help="bytes of an input at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", help="one decoder, or several; all if not given")
    parser.add_argument("--keep", action="store_true", help="put what reaches new lines into the corpus")
    parser.add_argument("--in-process", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_process:
        fuzz(arguments.target[0], arguments.in_process, arguments)
    from tests.fuzz.corpus import load, save
    from tests.fuzz.targets import TARGETS

    failed = 0
    for target in arguments.target or TARGETS:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable, "-m", "tests.fuzz", "--target", target, "--in-process", folder,
                "--inputs", str(arguments.inputs), "--longest", str(arguments.longest), "--seed", str(arguments.seed),
            ]  # fmt: skip
            ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
            found = [path.read_bytes() for path in Path(folder).iterdir() if not path.name.startswith("sample-")]
        done = re.findall(r"Done (\d+) (?:runs )?in", ended.stderr) or re.findall(r"#(\d+)\s+DONE", ended.stderr)
        verdict = "ok" if ended.returncode == 0 else "FAILED"
        failed += ended.returncode != 0
        print(
            f"{target:14} {verdict:6} {int(done[-1]) if done else 0:12,} inputs, {time.monotonic() - begun:6.0f} s",
            flush=True,
        )
        if ended.returncode:
            print(ended.stderr[-3000:])
        if arguments.keep:
            short = sorted((data for data in found if len(data) <= LONGEST_KEPT), key=len)
            save(target, [*load(target), *short[:: max(1, len(short) // KEPT)]][-2 * KEPT :])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
