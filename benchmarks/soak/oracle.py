"""Judges a run from outside: every way in which the guarantee could be broken.

Pure: evidence in, violations out, each a sentence that names the job. A check knows
nothing of how the system works, only of what it promises.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise

from benchmarks.soak import recorder
from benchmarks.soak.evidence import Evidence, Line, Row, totals

Check = Callable[[Evidence], Iterator[str]]

STATES = ("pending", "processing", "completed", "failed", "dead", "cancelled")

UNCOUNTED = ("interrupted",)
"""Reasons of attempts that the protocol says do not count. One that ended because its
job was cancelled counts: it ran for its owner, and ended for its owner."""


def judge(evidence: Evidence) -> list[str]:
    """Return every violation that any check finds."""
    return [
        f"{check.__name__}: {found}" for check in CHECKS for found in check(evidence)
    ]


def acknowledged_jobs_exist(evidence: Evidence) -> Iterator[str]:
    """Each has a row that is the one that was acknowledged; and nobody else has."""
    for job_id, promise in evidence.ledger.promised.items():
        row = evidence.jobs.get(job_id)
        if row is None:
            yield f"{job_id} was acknowledged and is lost"
        elif _born(promise.reply) not in (None, row["created_at"]):
            yield f"{job_id} is another one than the one that was acknowledged"
    for job_id in evidence.jobs.keys() - evidence.ledger.asked.keys():
        yield f"{job_id} exists and nobody asked for it"


def all_jobs_are_final(evidence: Evidence) -> Iterator[str]:
    """Completed; or cancelled, if that was asked for and acknowledged."""
    for job_id, row in evidence.jobs.items():
        asked = job_id in evidence.ledger.cancelled
        wanted = "cancelled" if asked else "completed"
        if row["state"] != wanted:
            yield f"{job_id} is {row['state']}, not {wanted}"


def completed_once(evidence: Evidence) -> Iterator[str]:
    """A completed job has exactly one successful attempt, its last.

    A cancelled one may have that too: it can end well before it can be ended.
    """
    for job_id, row in evidence.jobs.items():
        attempts = evidence.attempts.get(row["seq"], [])
        good = [a["run"] for a in attempts if _succeeded(a)]
        last = [attempt["run"] for attempt in attempts[-1:]]
        allowed = [last] if _completed(row) else [last, []]
        if good not in allowed or (_completed(row) and not good):
            yield f"{job_id} is {row['state']} and succeeded in runs {good}"


def ran_as_recorded(evidence: Evidence) -> Iterator[str]:
    """What jobs say of themselves is on record: same runs, same leases, whole ends."""
    for job_id, lines in evidence.traces.items():
        row = evidence.jobs.get(job_id)
        recorded = {} if row is None else _leases(evidence, row)
        for run, lease in {(line.run, line.lease) for line in lines}:
            if recorded.get(run) != lease:
                yield f"{job_id}: run {run}, lease {lease}, is not on record"
        if row is not None and _completed(row):
            last = [line for line in lines if line.run == row["runs"]]
            events = [line.event for line in last if line.event != "alive"]
            if events != ["start", "end"]:
                yield f"{job_id} completed in run {row['runs']}, which wrote {events}"


def no_overlap(evidence: Evidence) -> Iterator[str]:
    """No attempt begins while any process of another of the same job is there."""
    for job_id, lines in evidence.traces.items():
        for line in lines:
            if line.event == "overlap":
                yield f"{job_id}: run {line.run} began while another held the lock"
        for before, after in pairwise(lines):
            if (after.run, after.lease) < (before.run, before.lease):
                yield f"{job_id}: run {after.run} was alive in run {before.run}"
            elif before.run != after.run and after.event == "alive":
                yield f"{job_id}: run {after.run} was alive before its start"
        yield from _starts_twice(job_id, lines)
        if [line.at for line in lines] != sorted(line.at for line in lines):
            # Lines of one attempt's two processes may cross between clock and write.
            yield from _crossed(job_id, lines)


def attempts_add_up(evidence: Evidence) -> Iterator[str]:
    """A job's runs are numbered without a gap, with leases that grow, all ended."""
    seqs = {row["seq"] for row in evidence.jobs.values()}
    for seq in evidence.attempts.keys() - seqs:
        yield f"attempts of {seq} are on record, and no such job"
    leases: list[int] = []
    for job_id, row in evidence.jobs.items():
        attempts = evidence.attempts.get(row["seq"], [])
        runs = [attempt["run"] for attempt in attempts]
        own = [attempt["lease"] for attempt in attempts]
        leases += own
        if runs != list(range(1, row["runs"] + 1)):
            yield f"{job_id} had {row['runs']} runs, and attempts {runs}"
        if own != sorted(set(own)):
            yield f"{job_id} has leases {own}"
        if row["lease"] is not None:
            yield f"{job_id} is {row['state']} and holds lease {row['lease']}"
        counted = [a for a in attempts if _counts(a)]
        if row["attempts"] != len(counted):
            yield f"{job_id} counts {row['attempts']} attempts of {len(counted)}"
    if len(leases) != len(set(leases)):
        yield "a lease was given twice"


def counters_agree(evidence: Evidence) -> Iterator[str]:
    """`status`, the stored counters and the rows say the same."""
    rows = totals(evidence)
    for state in STATES:
        three = (
            evidence.status.get(state),
            evidence.counts.get(state, 0),
            rows.get(state, 0),
        )
        if len(set(three)) != 1:
            yield f"{state}: status {three[0]}, counter {three[1]}, rows {three[2]}"


def outputs_are_whole(evidence: Evidence) -> Iterator[str]:
    """Each file belongs to an attempt and has the size on record; good ones all."""
    known = {
        (attempt["job"], attempt["run"], attempt["lease"]): attempt
        for attempts in evidence.attempts.values()
        for attempt in attempts
    }
    there: dict[tuple[int, int, int], bytes] = {}
    for file in evidence.outputs:
        *key, suffix = file.key
        attempt = known.get((key[0], key[1], key[2]))
        if attempt is None:
            yield f"{file.path.name} belongs to no attempt"
            continue
        size = attempt["stdout_bytes" if suffix == "out" else "stderr_bytes"] or 0
        if file.size != size:
            yield f"{file.path.name} has {file.size} bytes, and {size} on record"
        if suffix == "out":
            there[key[0], key[1], key[2]] = file.path.read_bytes()
    for job_id, row in evidence.jobs.items():
        task = evidence.ledger.asked.get(job_id)
        for attempt in evidence.attempts.get(row["seq"], []):
            if task is None:
                continue
            found = there.get((attempt["job"], attempt["run"], attempt["lease"]), b"")
            whole = recorder.output(attempt["run"], task.size)
            if (
                found != whole
                if _ended_itself(attempt)
                else not whole.startswith(found)
            ):
                yield f"{job_id}: the output of run {attempt['run']} is not whole"


def nothing_is_left(evidence: Evidence) -> Iterator[str]:
    """No process, lock, socket, record or spooled result."""
    yield from evidence.left


def database_is_sound(evidence: Evidence) -> Iterator[str]:
    """SQLite finds nothing wrong with it."""
    if evidence.integrity != ["ok"]:
        yield from evidence.integrity or ["no answer"]


CHECKS: tuple[Check, ...] = (
    acknowledged_jobs_exist,
    all_jobs_are_final,
    completed_once,
    ran_as_recorded,
    no_overlap,
    attempts_add_up,
    counters_agree,
    outputs_are_whole,
    nothing_is_left,
    database_is_sound,
)


def _born(reply: Row) -> int | None:
    """Return when the acknowledged job was made; None if the reply did not say."""
    if "job" not in reply:
        return None
    return round(datetime.fromisoformat(reply["job"]["created_at"]).timestamp() * 1000)


def _counts(attempt: Row) -> bool:
    """Whether it is one; of interruptions those are that say so: see PROTOCOL.md."""
    said = attempt.get("message") or ""
    return attempt["reason"] not in UNCOUNTED or "counted as an attempt" in said


def _completed(row: Row) -> bool:
    return bool(row["state"] == "completed")


def _succeeded(attempt: Row) -> bool:
    return bool(attempt["reason"] == "exit" and attempt["exit_code"] == 0)


def _ended_itself(attempt: Row) -> bool:
    return bool(attempt["reason"] == "exit" and attempt["exit_code"] in {0, 1})


def _leases(evidence: Evidence, row: Row) -> dict[int, int]:
    attempts = evidence.attempts.get(row["seq"], [])
    return {attempt["run"]: attempt["lease"] for attempt in attempts}


def _starts_twice(job_id: str, lines: list[Line]) -> Iterator[str]:
    begun = [line.run for line in lines if line.event in {"start", "overlap"}]
    for run in sorted({run for run in begun if begun.count(run) > 1}):
        yield f"{job_id}: run {run} began {begun.count(run)} times"


def _crossed(job_id: str, lines: list[Line]) -> Iterator[str]:
    for before, after in pairwise(lines):
        if after.at < before.at and after.run != before.run:
            yield f"{job_id}: run {after.run} is older than run {before.run}"
