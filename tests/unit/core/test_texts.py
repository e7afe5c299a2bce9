"""The texts of a job: how large they make it, and a job without them."""

from helpers.jobs import a_job
from queuectld.core.fields import texts
from queuectld.core.fields.table import FIELDS
from queuectld.core.job import Submission

E = "\N{LATIN SMALL LETTER E WITH ACUTE}"


def test_what_a_batch_may_have_of_text_is_counted_in_bytes() -> None:
    """Of the command, the directory, the shell and the label."""
    wanted = Submission(f"{E}\udcff", cwd=f"/{E}", shell=f"/{E}", label=E)
    assert texts.byte_count(wanted) == 3 + 3 + 3 + 2
    assert texts.byte_count(Submission((E, "b"))) == 3


def test_every_text_of_a_submitter_is_left_out_and_put_back() -> None:
    """The shell too: a request may change thousands of jobs that have a long one."""
    job = a_job(command="x" * 99, cwd="/x", label="x", shell="/x", message="m")
    left = texts.without(job)
    assert (left.command, left.cwd, left.label, left.shell) == ("", None, None, None)
    assert (left.seq, left.state, left.message) == (job.seq, job.state, "m")
    assert texts.put_back(left, job) == job


def test_every_long_text_is_marked_as_one() -> None:
    """What is told as a string of any length counts in what makes a job large."""
    short = {"id", "state", "umask", "queue", "reason"}
    told = {
        field.name
        for field in FIELDS
        if field.told
        and field.told.always
        and field.told.type.startswith(("str", "unix"))
    }
    assert told - short == {field.name for field in FIELDS if field.text} - {"name"}
