"""Coverage-guided fuzzing of ``targets.py``, with atheris: `make fuzz`.

FUZZ_SECONDS (60) says how long. What fails is printed, and its input is written to
FUZZ_OUTPUT (build/fuzz), where the corpus is kept as well: the next run goes on from
there. On a Python that atheris has no wheel for, the same mutations are made of the
seeds alone, without knowing what is covered.
"""

import os
import random
import sys
import time
from pathlib import Path

try:
    import atheris  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    atheris = None

ROOT = Path(__file__).parents[2]
SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))
OUTPUT = Path(os.environ.get("FUZZ_OUTPUT", ROOT / "build" / "fuzz"))


def with_atheris() -> None:
    """Fuzz until the time is up; ends the process."""
    with atheris.instrument_imports():
        # Seen while they are imported.
        from benchmarks.fuzz import mutations, targets  # noqa: PLC0415
    corpus = OUTPUT / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(targets.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    flags = [
        f"-max_total_time={SECONDS}",
        f"-artifact_prefix={OUTPUT}/",
        "-max_len=2048",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
    ]

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.3:
            made: bytes = atheris.Mutate(data, most)
            return made
        return mutations.worse(data, chance)[:most]

    arguments = [sys.argv[0], *flags, str(corpus)]
    atheris.Setup(arguments, targets.receive, custom_mutator=mutate)
    atheris.Fuzz()


def without_atheris() -> None:
    """Try what chance makes of good requests, until the time is up."""
    from benchmarks.fuzz import mutations, targets  # noqa: PLC0415 - as above

    print("atheris is not installed here: going on without coverage")
    seed = int(os.environ.get("FUZZ_SEED", random.randrange(10**9)))
    chance, good = random.Random(seed), targets.seeds()
    until, count = time.monotonic() + SECONDS, 0
    while time.monotonic() < until:
        data = mutations.worse(chance.choice(good), chance)
        try:
            targets.receive(data)
        except BaseException:
            print(f"found with FUZZ_SEED={seed}, number {count}: {data.hex()}")
            raise
        count += 1
    print(f"{count} executions in {SECONDS} s, nothing found")


def main() -> None:
    """Fuzz with what there is."""
    if atheris is None:
        without_atheris()
    else:
        with_atheris()


if __name__ == "__main__":
    main()
