"""What every store does with jobs: keep them, find them, change them by comparison."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from helpers.asynchronous import asynchronous
from helpers.jobs import NOW
from helpers.stores import DEFAULTS, Home, add, end, everything, insert, look, put
from queuectl_protocol.vocabulary import JobState, Reason
from queuectld.core.job import Job, Submission
from queuectld.core.limits import NONE, Limits

RAW = b"caf\xe9/\xff\xfe".decode("utf-8", "surrogateescape")
"""Text as it comes from a file name that is not UTF-8."""

SUBMISSIONS = {
    "least": Submission("true"),
    "most": Submission(
        command=("python3", "-c", "print('x')", ""),
        id="nightly:2027-01-05",
        priority=-1_000_000,
        max_retries=0,
        timeout=0.25,
        backoff_base=1.5,
        backoff_max=86_400,
        backoff_jitter=0.0,
        output_limit=0,
        run_at=NOW + 1,
        cwd="/srv/data",
        umask=0o077,
        env={"PATH": "/bin", "EMPTY": ""},
        label="Ω the nightly one ✓\n",
        submitter=1000,
        nice=-20,
        memory_max=1024**5,
        cpu_quota=12.5,
        tasks_max=64,
        rlimits=(("core", -1), ("nofile", 2**63 - 1)),
        groups=(1000, 0, 2**32 - 2),
        expires=NOW + 2,
    ),
    "no limits": Submission("true", nice=0, memory_max=0, rlimits=(), groups=(5,)),
    "not UTF-8": Submission(
        (f"/bin/{RAW}", RAW), cwd=f"/{RAW}", env={RAW: RAW, "LANG": "C"}
    ),
    "long": Submission("x" * 131_071, env={"BIG": "y" * 1_000_000}),
}
CHANGES: dict[str, Any] = {
    "state": JobState.FAILED,
    "attempts": 2,
    "runs": 5,
    "losses": 1,
    "lease": 77,
    "worker": 12,
    "cancel_requested": True,
    "due": False,
    "updated_at": NOW + 2,
    "run_at": NOW + 3,
    "expires": NOW + 9,
    "started_at": NOW + 4,
    "finished_at": NOW + 5,
    "exit_code": 255,
    "signal": 9,
    "reason": Reason.OUTPUT_LIMIT,
    "message": "it wrote too much: ✗",
}
"""What can change of a job. All else is as it was submitted."""


@pytest.mark.parametrize("name", SUBMISSIONS)
@asynchronous
async def test_a_job_reads_back_as_it_was_inserted(home: Home, name: str) -> None:
    """Whatever bytes Unix allows in it, by every way to read it, now and later."""
    submission = SUBMISSIONS[name]
    async with home.open() as store:
        job = await store.write(lambda tx: insert(tx, submission))
        for field, asked in submission._asdict().items():
            if asked is not None and field not in {"id", "env"}:
                there = job.limits if field in Limits._fields else job
                assert getattr(there, field) == asked
        assert job.name == submission.id
        assert await store.write(lambda tx: tx.job(job.id)) == job
    async with home.open() as store:
        assert await store.read(lambda reader: reader.job(job.id)) == job
        assert await look(store, job) == job
        assert await everything(store) == [job]
        assert await store.read(lambda reader: _env(reader, job)) == submission.env


def _env(reader: Any, job: Job) -> dict[str, str] | None:
    return None if job.env_key is None else dict(reader.environment(job.env_key))


@asynchronous
async def test_what_a_submission_leaves_out_comes_from_the_settings(home: Home) -> None:
    """The settings at the time of the insert are copied into the job."""
    own = replace(DEFAULTS, max_retries=9, timeout=1.5, output_limit=4096)
    async with home.open() as store:
        job = await store.write(lambda tx: insert(tx, Submission("true"), own))
    assert (job.max_retries, job.timeout, job.output_limit) == (9, 1.5, 4096)
    assert (job.backoff_base, job.backoff_max) == (2, 3600)


@asynchronous
async def test_a_job_without_limits_has_the_one_object_for_that(home: Home) -> None:
    """Also where it says so itself, or the settings do; told by ``is``."""
    none = Submission("true", nice=0, cpu_quota=0.0, rlimits=())
    own = replace(DEFAULTS, limits=Limits(nice=5))
    async with home.open() as store:
        for submission, settings in [
            (Submission("true"), DEFAULTS),
            (none, DEFAULTS),
            (none, own),
        ]:
            job = await store.write(
                partial(insert, submission=submission, settings=settings)
            )
            assert job.limits is NONE
            read = await look(store, job)
            assert read is not None
            assert read.limits is NONE


@asynchronous
async def test_limits_that_are_left_out_come_from_the_settings(home: Home) -> None:
    """Each for itself: one that is 0 in the submission is none."""
    own = replace(DEFAULTS, limits=Limits(nice=5, memory_max=1024**3, tasks_max=9))
    asked = Submission("true", memory_max=0, rlimits=(("core", 0),))
    async with home.open() as store:
        job = await store.write(lambda tx: insert(tx, asked, own))
        plain = await store.write(lambda tx: insert(tx, Submission("true"), own))
        assert job.limits == Limits(nice=5, tasks_max=9, rlimits=(("core", 0),))
        assert plain.limits == own.limits
        assert await everything(store) == [job, plain]


@asynchronous
async def test_generated_ids_are_numbers_that_grow(home: Home) -> None:
    """The first job is 1; given ids take a number too, for their place in line."""
    async with home.open() as store:
        jobs = [await add(store), await add(store, id="mine"), await add(store)]
    assert [job.id for job in jobs] == ["1", "mine", "3"]
    assert [job.seq for job in jobs] == [1, 2, 3]


@asynchronous
async def test_a_generated_id_is_never_used_again(home: Home) -> None:
    """Not after its job was deleted, not after the store was opened anew."""
    async with home.open() as store:
        last = await end(store, await add(store))
        assert len(await store.write(lambda tx: tx.delete([last]))) == 1
        again = await end(store, await add(store))
        assert again.seq > last.seq
        assert len(await store.write(lambda tx: tx.delete([again]))) == 1
    async with home.open() as store:
        assert (await add(store)).seq > again.seq


@asynchronous
async def test_a_failed_insert_uses_no_id_twice(home: Home) -> None:
    """A number may be skipped by a unit that failed; it never comes back as another."""

    def fail(tx: Any) -> None:
        insert(tx, Submission("true"))
        raise ZeroDivisionError

    async with home.open() as store:
        before = await add(store)
        with pytest.raises(ZeroDivisionError):
            await store.write(fail)
        after = await add(store)
        assert after.seq > before.seq
        assert await everything(store) == [before, after]


@asynchronous
async def test_a_given_id_is_free_again_after_deletion(home: Home) -> None:
    """It names an intention; its next owner is another job with another number."""
    async with home.open() as store:
        first = await end(store, await add(store, id="nightly"))
        await store.write(lambda tx: tx.delete([first]))
        assert await store.read(lambda reader: reader.job("nightly")) is None
        second = await add(store, id="nightly")
        assert second.seq > first.seq
        assert await store.read(lambda reader: reader.job("nightly")) == second


@pytest.mark.parametrize(
    "name",
    [
        "",
        "0",
        "007",
        "-7",
        "+7",
        " 7",
        "7 ",
        "7.0",
        "7e0",
        "0x7",
        "\N{ARABIC-INDIC DIGIT SEVEN}",
        "8",
        "2",
        "9" * 18,
        "9" * 19,
        "9" * 200,
        "MINE",
        "min",
        "mine ",
        "%",
        "x' OR '1'='1",
    ],
)
@asynchronous
async def test_an_id_is_found_by_no_other_spelling(home: Home, name: str) -> None:
    """Ids are compared as text, to the letter; a given id hides its own number."""
    async with home.open() as store:
        await add(store)
        await add(store, id="mine")  # number 2
        for _ in range(5):
            last = await add(store)
        assert await store.read(lambda reader: reader.job("7")) == last
        assert await store.read(lambda reader: reader.job(name)) is None
        assert await store.read(lambda reader: reader.job_by_seq(8)) is None


def test_changes_are_all_that_can_change() -> None:
    """A field is either what was submitted or what ``update`` writes."""
    limits = set(Limits._fields)
    submitted = set(Submission._fields) - {"id", "env"} - limits | {"limits"}
    assert limits < set(Submission._fields)
    identity = {"seq", "name", "env_key", "created_at"}
    assert submitted & set(CHANGES) == {"run_at", "expires"}
    assert submitted | identity | set(CHANGES) == set(Job._fields)


@asynchronous
async def test_an_update_writes_all_that_can_change(home: Home) -> None:
    """Every changeable field reads back, and goes back to nothing where it can."""
    async with home.open() as store:
        job = await add(store)
        changed = await put(store, job, **CHANGES)
        assert await look(store, job) == changed
        back = await put(
            store, changed, **{name: getattr(job, name) for name in CHANGES}
        )
        assert back == job
        assert await look(store, job) == job


@pytest.mark.parametrize(
    "stale",
    [
        {"state": JobState.FAILED},
        {"lease": 40},
        {"lease": None},
        {"state": JobState.PENDING, "lease": None},
    ],
)
@asynchronous
async def test_an_update_of_a_job_that_changed_is_refused(
    home: Home, stale: dict[str, Any]
) -> None:
    """Another state or another lease than expected: nothing is written."""
    async with home.open() as store:
        running = await put(
            store, await add(store), state=JobState.PROCESSING, lease=41, due=None
        )
        other = await add(store)
        old = running._replace(**stale)
        new = old._replace(state=JobState.COMPLETED, lease=None, attempts=9)
        assert await store.write(lambda tx: tx.update(old, new)) is False
        assert await everything(store) == [running, other]
        counts = await store.read(lambda reader: reader.counts())
        assert counts[JobState.PROCESSING] == counts[JobState.PENDING] == 1


@asynchronous
async def test_of_two_updates_from_one_state_one_wins(home: Home) -> None:
    """The second finds that the job is not what it was."""
    async with home.open() as store:
        job = await put(
            store, await add(store), state=JobState.PROCESSING, lease=1, due=None
        )
        first = job._replace(state=JobState.COMPLETED, lease=None, exit_code=0)
        second = job._replace(state=JobState.DEAD, lease=None, exit_code=1)
        done = await store.write(
            lambda tx: [tx.update(job, first), tx.update(job, second)]
        )
        assert done == [True, False]
        assert await look(store, job) == first


@asynchronous
async def test_an_update_of_a_job_that_is_gone_is_refused(home: Home) -> None:
    """A deleted job does not come back."""
    async with home.open() as store:
        job = await end(store, await add(store))
        await store.write(lambda tx: tx.delete([job]))
        new = job._replace(state=JobState.PENDING, due=True)
        assert await store.write(lambda tx: tx.update(job, new)) is False
        assert await everything(store) == []
