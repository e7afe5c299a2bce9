"""Commands that change jobs: cancel, retry, start, delete, prune, dlq."""

import re
from collections.abc import Iterator

import pytest

from helpers.cli import Cli, Said, shared
from helpers.waiting import until

cli = shared(workers=1)

FINAL = "--max-retries", "0"


@pytest.fixture
def empty(cli: Cli) -> Iterator[Cli]:
    """Remove what other tests have left."""
    cli.home.ask("prune", states=["completed", "cancelled", "dead"])
    return cli


def pending(cli: Cli) -> str:
    """Enqueue a job that stays where it is; return its id."""
    return cli.enqueue("true", "--delay", "1d")


def test_cancel_is_about_jobs_that_wait(cli: Cli) -> None:
    """Each is told; the others are cancelled whatever is wrong with one."""
    waits, other = pending(cli), pending(cli)
    done = cli.ended("true")
    said = cli("cancel", waits, "nope", done, other, waits)
    assert said[:2] == (1, f"{waits}: cancelled\n{other}: cancelled\n")
    assert said.refused("'nope'", f"job {done} is completed")


def test_cancel_returns_when_a_running_job_is_gone(cli: Cli) -> None:
    """Everything it started is; and it is cancelled, not failed."""
    script = "setsid sleep 601 & (setsid sleep 601 &); echo >{0}; sleep 601"
    job = cli.enqueue(script.format("cancelled"))
    cli.home.appears("cancelled")
    assert cli("cancel", job) == Said(0, f"{job}: cancelled\n", "")
    assert not [seen for seen in cli.home.processes() if "sleep 601" in seen.command]
    found = cli.home.job(job)
    assert (found["state"], found["reason"]) == ("cancelled", "cancelled")
    assert cli("wait", job) == Said(130, f"{job}: cancelled\n", "")


def test_cancel_of_two_leaves_the_worker_neither(cli: Cli) -> None:
    """The one that waits is cancelled before the other's end makes room for it."""
    running = cli.enqueue("echo >holds; sleep 602")
    cli.home.appears("holds")
    waits = cli.enqueue("true")
    said = f"{running}: cancelled\n{waits}: cancelled\n"
    assert cli("cancel", running, waits) == Said(0, said, "")
    assert cli.home.job(waits)["runs"] == 0


def test_cancel_and_retry_print_json(cli: Cli) -> None:
    """An array of what was changed; an empty one where nothing was."""
    job = pending(cli)
    (cancelled,) = cli.json("cancel", "--json", job)
    assert cancelled == cli.home.job(job)
    (retried,) = cli.json("retry", "--json", job)
    assert (retried["id"], retried["state"]) == (job, "pending")
    said = cli("retry", "--json", "nope")
    assert said[:2] == (1, "[]\n")
    assert said.refused("'nope'")


def test_retry_runs_a_job_again(cli: Cli) -> None:
    """Whatever became of it; earlier attempts are kept."""
    dead = cli.ended("exit 1", *FINAL)
    done = cli.ended("true")
    waits = cli.enqueue("exit $((QUEUECTL_ATTEMPT < 2))")
    cli.home.until_state(waits, "failed")
    queued = pending(cli)
    said = cli("retry", dead, done, waits, queued, "nope")
    assert said[:2] == (1, f"{dead}: pending\n{done}: pending\n{waits}: pending\n")
    assert said.refused(f"queuectl start {queued}", "'nope'")
    assert cli("wait", dead, done, waits).out.splitlines() == [
        f"{dead}: dead (exit 1)",
        f"{done}: completed",
        f"{waits}: completed",
    ]
    assert [cli.home.job(job)["runs"] for job in (dead, done, waits)] == [2, 2, 2]


def test_several_print_json_in_full(cli: Cli) -> None:
    """As one does, though of many the daemon tells less."""
    jobs = [pending(cli) for _ in range(3)]
    cancelled = cli.json("cancel", "--json", *jobs)
    assert cancelled == [cli.home.job(job) for job in jobs]
    retried = cli.json("retry", "--json", *jobs)
    assert [job["state"] for job in retried] == ["pending"] * 3
    assert all(job.keys() == cancelled[0].keys() for job in retried)


def test_start_lets_a_job_run_that_waits_for_its_time(cli: Cli) -> None:
    """With the retries that it has; what does not wait is told what would help."""
    late, done = pending(cli), cli.ended("true")
    fails = cli.home.enqueue("exit 1", backoff_base=1000, backoff_max=3600)
    cli.home.until_state(fails, "failed")
    said = cli("start", late, done, "nope", fails)
    assert said[:2] == (1, f"{late}: pending, due now\n{fails}: failed, due now\n")
    assert said.refused(f"queuectl retry {done}", "'nope'")
    cli.home.ended(late)
    until(lambda: cli.home.job(fails)["runs"] == 2, "it has run again")
    cli.home.until_state(fails, "failed")
    (started,) = cli.json("start", "--json", fails)
    assert (started["id"], started["attempts"]) == (fails, 2)
    cli.ok("cancel", fails)


def test_delete_forgets_jobs_that_have_ended(cli: Cli) -> None:
    """With their output; others stay, and it is said what would help."""
    done, dead, waits = cli.ended("echo x"), cli.ended("false", *FINAL), pending(cli)
    said = cli("delete", done, waits, dead, "nope")
    assert said[:2] == (1, f"{done}: deleted\n{dead}: deleted\n")
    assert said.refused(f"queuectl cancel {waits}", "'nope'")
    assert f"'{done}'" in cli.refused("logs", done)
    cli.ok("cancel", waits)
    (deleted,) = cli.json("delete", "--json", waits)
    assert (deleted["id"], deleted["state"]) == (waits, "cancelled")
    assert f"'{waits}'" in cli.refused("delete", waits)


def test_delete_asks_on_a_terminal(cli: Cli) -> None:
    """Unless it is told not to."""
    job, other = cli.ended("true"), cli.ended("true")
    with cli.terminal("delete", job) as terminal:
        terminal.until(f"Delete job {job} with its output for good? [y/N]: ")
        terminal.type("n\n")
        terminal.until("nothing was deleted")
        assert terminal.end() == 1
    assert cli.home.job(job)["state"] == "completed"
    with cli.terminal("delete", job, other) as terminal:
        terminal.until("Delete 2 jobs with their output for good? [y/N]: ")
        terminal.type("y\n")
        terminal.until(f"{other}: deleted")
        assert terminal.end() == 0
    again = cli.ended("true")
    with cli.terminal("delete", "--yes", again) as terminal:
        assert terminal.end() == 0
        assert terminal.lines == [f"{again}: deleted"]


def test_more_than_a_request_takes_are_several(cli: Cli) -> None:
    """Each is told, in the order given."""
    reply = cli.home.ask(
        "enqueue_many", jobs=[{"command": "true"}] * 2500, defaults={"delay": 86400}
    )
    told = "".join(f"{job}: cancelled\n" for job in reply["ids"])
    assert cli("cancel", *reply["ids"]) == Said(0, told, "")
    told = told.replace("cancelled", "deleted")
    assert cli("delete", *reply["ids"]) == Said(0, told, "")


def test_prune_deletes_what_has_ended(empty: Cli) -> None:
    """Completed and cancelled jobs unless told otherwise, with their output."""
    cli = empty
    done, dead, cancelled = (
        cli.ended("echo x"),
        cli.ended("false", *FINAL),
        pending(cli),
    )
    waits = pending(cli)
    cli.ok("cancel", cancelled)
    assert cli.ok("prune", "--older-than", "1h") == "0 jobs deleted\n"
    assert cli.ok("prune", "--state", "cancelled") == "1 job deleted\n"
    assert cli.json("prune", "--json") == {"pruned": 1}
    assert f"'{done}'" in cli.refused("show", done)
    assert f"'{done}'" in cli.refused("logs", done)
    assert cli.home.job(dead)["state"] == "dead"
    assert cli.home.job(waits)["state"] == "pending"
    both = ("--state", "dead", "-s", "completed")
    assert cli.ok("prune", *both, "--older-than", "0") == "1 job deleted\n"


def test_the_dead_letter_queue_has_the_dead(empty: Cli) -> None:
    """It lists them, newest first, and shows them alone."""
    cli = empty
    assert cli("dlq", "list") == Said(0, "", "no dead jobs\n")
    assert cli.json("dlq", "list", "--json") == []
    done = cli.ended("true")
    dead = [cli.ended("echo last words; exit 3", *FINAL) for _ in range(3)]
    newest = dead[::-1]
    listed = cli.json("dlq", "list", "--json")
    assert [job["id"] for job in listed] == newest
    assert [job["id"] for job in cli.json("dlq", "list", "--json", "-n", "2")] == (
        newest[:2]
    )
    header, first, output, *_ = cli.ok("dlq", "list", "--output").splitlines()
    assert header.split()[:2] == ["ID", "STATE"]
    assert first.split()[:2] == [newest[0], "dead"]
    assert output == "    | last words"
    assert timeless(cli.ok("dlq", "show", dead[0])) == timeless(cli.ok("show", dead[0]))
    shown = cli.json("dlq", "show", "--json", dead[0])
    assert shown == cli.json("show", "--json", dead[0])
    said = cli.refused("dlq", "show", done)
    assert said == f"job '{done}' is completed, not dead; see: queuectl show {done}"
    assert "'nope'" in cli.refused("dlq", "show", "nope")


def timeless(shown: str) -> str:
    """Return what is shown without how long ago all that was."""
    return re.sub(r"\(\w+ ago\)", "", shown)


def test_the_dead_are_retried_with_their_whole_budget(empty: Cli) -> None:
    """One by one, or all of them; nothing that is not dead."""
    cli = empty
    done = cli.ended("true")
    dead = [cli.ended("exit 1", *FINAL) for _ in range(3)]
    assert cli("dlq", "retry", dead[0], done) == Said(
        1, f"{dead[0]}: pending\n", f"queuectl: job {done} is completed, not dead\n"
    )
    cli.home.ended(dead[0])
    assert cli.ok("dlq", "retry", "--all") == "3 jobs pending again\n"
    for job in dead:
        cli.home.ended(job)
    assert [cli.home.job(job)["runs"] for job in dead] == [3, 2, 2]
    assert cli.json("dlq", "retry", "--all", "--json") == {"retried": 3, "skipped": 0}
    for job in dead:
        cli.home.ended(job)
    (retried,) = cli.json("dlq", "retry", "--json", dead[0])
    assert retried["id"] == dead[0]
    cli.home.ended(dead[0])


def test_the_dead_are_purged(empty: Cli) -> None:
    """With their output; other jobs stay."""
    cli = empty
    done = cli.ended("true")
    for _ in range(2):
        cli.ended("exit 1", *FINAL)
    assert cli.ok("dlq", "purge", "--older-than", "30d") == "0 jobs deleted\n"
    assert cli.ok("dlq", "purge") == "2 jobs deleted\n"
    assert cli.json("dlq", "purge", "--yes", "--json") == {"pruned": 0}
    assert cli.home.job(done)["state"] == "completed"


def test_the_dead_are_purged_by_id(empty: Cli) -> None:
    """Those that are named, if they are dead."""
    cli = empty
    done = cli.ended("true")
    dead, stays, other = [cli.ended("exit 1", *FINAL) for _ in range(3)]
    said = cli("dlq", "purge", dead, done)
    assert said[:2] == (1, f"{dead}: deleted\n")
    assert said.refused(f"job {done} is completed")
    (deleted,) = cli.json("dlq", "purge", "--yes", "--json", other)
    assert deleted["id"] == other
    assert [job["id"] for job in cli.json("dlq", "list", "--json")] == [stays]
