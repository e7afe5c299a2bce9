"""Coverage-guided fuzzing of all that a client's bytes go through before a handler.

Frames, messages, the fields of a job, the parameters of every method: each may refuse
what it is given with its own error, and do nothing else. `make fuzz` runs this for
FUZZ_SECONDS with atheris, which is not among the packages for development; on a Python
that atheris has no wheel for, Hypothesis does what it can, without knowing coverage.

What is found is written to FUZZ_OUTPUT (build/fuzz) by atheris, and printed. The corpus
it has grown is kept there, and goes on from there the next time.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "protocol"), str(ROOT / "tests")]

SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))
OUTPUT = Path(os.environ.get("FUZZ_OUTPUT", ROOT / "build" / "fuzz"))
NOW = 1_800_000_000_000
MAX_FRAME = 4096
CONTAINERS = 50

try:
    import atheris  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    atheris = None


def prepared() -> Callable[[bytes], None]:
    """Import what is fuzzed, so that atheris sees it; return the one thing to do."""
    from queuectl_protocol import messages  # noqa: PLC0415
    from queuectl_protocol.errors import (  # noqa: PLC0415
        FrameTooLargeError,
        ProtocolError,
    )
    from queuectl_protocol.frames import FrameDecoder  # noqa: PLC0415
    from queuectl_protocol.messages import (  # noqa: PLC0415
        BadMessageError,
        Failure,
        Greeting,
        Message,
        Reply,
        Request,
        StreamEvent,
    )
    from queuectld.core import submission  # noqa: PLC0415
    from queuectld.core.errors import InvalidJobError  # noqa: PLC0415
    from queuectld.server import params  # noqa: PLC0415
    from queuectld.server.dispatch import METHODS  # noqa: PLC0415
    from queuectld.server.errors import (  # noqa: PLC0415
        UnknownMethodError,
        refusal,
    )
    from queuectld.server.params import InvalidParamsError  # noqa: PLC0415

    def frames(data: bytes) -> list[bytes]:
        """Cut the stream whole, and at every byte: the same comes out."""
        whole, bitwise = FrameDecoder(MAX_FRAME), FrameDecoder(MAX_FRAME)
        found: list[bytes] = []
        refused = False
        try:
            for at in range(len(data)):
                found += bitwise.receive_data(data[at : at + 1])
        except FrameTooLargeError:
            refused = True
        try:
            assert whole.receive_data(data) == found
            assert not refused
            assert whole.pending == bitwise.pending <= MAX_FRAME + 4
        except FrameTooLargeError:
            assert refused
        return found

    def message(payload: bytes) -> Message | None:
        try:
            decoded = messages.decode(payload, CONTAINERS)
        except BadMessageError as error:
            assert str(error)
            messages.encode(refused(None, error))
            return None
        except ProtocolError as error:
            raise AssertionError from error
        again = messages.decode(messages.encode(decoded)[4:])
        assert type(again) is type(decoded)
        return decoded

    def refused(request_id: int | str | None, error: Exception) -> Failure:
        told = refusal(error)
        if not isinstance(error, ProtocolError):
            assert told.code != "internal", error
        return messages.failure(request_id, *told)

    def call(request: Request) -> None:
        method = METHODS.get(request.method)
        try:
            if method is None:
                raise UnknownMethodError(request.method, METHODS)
            given = params.checked(method.params, request.params)
            for job in jobs(given):
                parsed = submission.parse(job, submitter=0, now=NOW)
                assert submission.weight(parsed) >= 0
                assert messages.unpack(messages.pack(job)) is not None
        except (UnknownMethodError, InvalidParamsError, InvalidJobError) as error:
            messages.encode(refused(request.id, error))

    def jobs(given: dict[str, Any]) -> list[dict[str, Any]]:
        found = [given["job"]] if "job" in given else list(given.get("jobs") or [])
        if given.get("defaults"):
            submission.check(given["defaults"])
        return found

    def one(data: bytes) -> None:
        payloads = frames(data)
        # Chance seldom writes a good length: what follows a bad one is tried as well.
        for payload in [*payloads, data, data[4:]]:
            match message(payload):
                case Request() as request:
                    call(request)
                case Greeting() | Reply() | Failure() | StreamEvent() | None:
                    pass

    return one


def seeds() -> list[bytes]:
    """Return a good request for each method, and all vectors."""
    from helpers import vectors  # noqa: PLC0415
    from queuectl_protocol import messages  # noqa: PLC0415
    from queuectld.core.submission import FIELDS  # noqa: PLC0415
    from queuectld.server.dispatch import METHODS  # noqa: PLC0415

    values: list[Any] = ["true", "0022", "default", 1, 0.5, ["true", "x"], {"A": "b"}]
    good = [
        messages.Request(1, method.name, {p.name: value for p in method.params})
        for method in METHODS.values()
        for value in ("1", 1, True, "/x", ["completed"], {"command": "true"})
    ]
    good += [
        messages.Request("x", "enqueue", {"job": {"command": "true", name: value}})
        for name in FIELDS
        for value in values
    ]
    found = [messages.encode(each) for each in good]
    for name in ("frames", "messages"):
        found += [bytes.fromhex(each["hex"]) for each in vectors.load(name)]
    return found


def with_atheris() -> None:
    """Fuzz until the time is up; atheris ends the process."""
    with atheris.instrument_imports():
        one = prepared()
    corpus = OUTPUT / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    flags = [
        f"-max_total_time={SECONDS}",
        f"-artifact_prefix={OUTPUT}/",
        "-max_len=2048",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], one)
    atheris.Fuzz()


def with_hypothesis() -> None:
    """Try what chance brings, around good requests, until the time is up."""
    print("atheris is not installed here: Hypothesis goes on without coverage")
    one, good = prepared(), seeds()
    until, count = time.monotonic() + SECONDS, 0

    @st.composite
    def bytes_near_good(draw: st.DrawFn) -> bytes:
        data = bytearray(draw(st.sampled_from(good)))
        for _ in range(draw(st.integers(0, 5))):
            at = draw(st.integers(0, len(data)))
            data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
        return bytes(data)

    @given(bytes_near_good() | st.binary(max_size=200))
    @settings(
        max_examples=5000,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def some(data: bytes) -> None:
        nonlocal count
        count += 1
        one(data)

    while time.monotonic() < until:
        some()
    print(f"{count} executions in {SECONDS} s, nothing found")


if __name__ == "__main__":
    if atheris is None:
        with_hypothesis()
    else:
        with_atheris()
