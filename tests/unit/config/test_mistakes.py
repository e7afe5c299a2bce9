"""What is wrong with a configuration: all of it, each with its place."""

import os
from pathlib import Path
from typing import Any

import pytest

from queuectld import config
from queuectld.config import ConfigError, Sources


def problems(tmp_path: Path, file: str | bytes | None = None, **more: Any) -> list[str]:
    """Return what ``load`` complains of, the directory's name cut off."""
    if file is not None:
        content = file.encode() if isinstance(file, str) else file
        (tmp_path / "queuectld.toml").write_bytes(content)
    environ = {"QUEUECTL_HOME": str(tmp_path), **more.pop("environ", {})}
    with pytest.raises(ConfigError) as caught:
        config.load(Sources(environ=environ, cwd=str(tmp_path), **more))
    assert str(caught.value).splitlines() == [str(one) for one in caught.value.problems]
    return [
        str(one).replace(f"{tmp_path}/", "").replace(str(tmp_path), ".")
        for one in caught.value.problems
    ]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Flags, variables and file are all read before anything is refused."""
    file = 'max_page = 0\nlog_levle = "info"\nlog_format = "xml"\n'
    assert problems(
        tmp_path,
        file,
        environ={"QUEUECTLD_SHUTDOWN_GRACE": "soon"},
        flags={"max_frame": "1"},
    ) == [
        "QUEUECTLD_SHUTDOWN_GRACE: 'soon' is no duration; write 90, 90s, 5m, 2h or 1d",
        "--max-frame: 1 is out of range (5MiB to 256MiB)",
        "queuectld.toml:1: max_page: 0 is out of range (1 to 10000)",
        "queuectld.toml:2: there is no option 'log_levle'; did you mean log_level?",
        "queuectld.toml:3: log_format: 'xml' is none of text, json",
    ]


def test_a_mistake_counts_even_where_another_value_wins(tmp_path: Path) -> None:
    """What is wrong in the file is told although a flag overrides it."""
    found = problems(tmp_path, "max_page = -1", flags={"max_page": "5"})
    assert found == ["queuectld.toml:1: max_page: -1 is out of range (1 to 10000)"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("max_page = true", "true is no whole number"),
        ("max_page = 1.5", "1.5 is no whole number"),
        ('max_page = "many"', "'many' is no whole number"),
        ("max_page = [1]", "a list is no whole number"),
        ("max_page.a = 1", "a table is no whole number"),
        ("max_frame = 5e6", "5000000.0 is no size"),
        ('max_frame = "9TiB"', "9TiB is out of range (5MiB to 256MiB)"),
        ("shutdown_grace = nan", "nan is out of range (0s to 1d)"),
        ("shutdown_grace = inf", "inf is out of range (0s to 1d)"),
        ("shutdown_grace = -1", "-1 is out of range (0s to 1d)"),
        ("state_dir = 7", "7 is no path; put it in quotes"),
        ('state_dir = ""', "'' is no path"),
        ('state_dir = "a\\u0000b"', "'a\\x00b' is no path"),
        ("log_level = 3", "3 is none of debug, info, warning, error"),
        ("log_level = 2026-11-24", "is none of debug, info, warning, error"),
    ],
)
def test_a_bad_value_says_what_is_allowed(
    tmp_path: Path, line: str, complaint: str
) -> None:
    """A value of another type or out of range is refused in its own terms."""
    (problem,) = problems(tmp_path, line)
    key = line.partition(" ")[0].removesuffix(".a")
    assert problem.startswith(f"queuectld.toml:1: {key}: ")
    assert complaint in problem


def test_an_absurd_number_is_a_mistake_like_others(tmp_path: Path) -> None:
    """Neither our readers nor tomllib's raise anything else for huge numbers."""
    found = problems(
        tmp_path, "max_page = " + "9" * 5000, flags={"max_frame": "9" * 400 + "T"}
    )
    assert "is no size" in found[0]
    assert found[1].startswith("queuectld.toml:1: ")


def test_a_key_like_none_gets_the_list_of_all(tmp_path: Path) -> None:
    """Where no key is near, all are named, and where settings of jobs live."""
    (problem,) = problems(tmp_path, "colour = 1")
    assert "state_dir" in problem
    assert "queuectl config set" in problem


def test_a_missing_file_is_a_mistake_if_it_was_asked_for(tmp_path: Path) -> None:
    """--config with a wrong path must not start a daemon with defaults."""
    found = problems(tmp_path, config_file="gone.toml")
    assert found == ["gone.toml: there is no such file"]


def test_an_unreadable_file_is_a_mistake(tmp_path: Path) -> None:
    """A directory in the file's place is told, not passed over."""
    (tmp_path / "queuectld.toml").mkdir()
    assert problems(tmp_path) == ["queuectld.toml: cannot be read: Is a directory"]


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("max_page = 1\nmax_page = = 2\n", "queuectld.toml:2"),
        ("max_page = 1\nmax_page = 2\n", "queuectld.toml:2"),
        ("a = 1\nb = [1,\n2,\n", "queuectld.toml:3"),
        (b"a = 1\n# \xff\n", "queuectld.toml:2"),
    ],
    ids=["bad value", "twice", "open at the end", "not UTF-8"],
)
def test_a_syntax_error_has_its_line(
    tmp_path: Path, file: str | bytes, place: str
) -> None:
    """What is no TOML is told with the line, beside the mistakes elsewhere."""
    found = problems(tmp_path, file, flags={"max_page": "x"})
    assert len(found) == 2
    assert found[0] == "--max-page: 'x' is no whole number"
    assert found[1].startswith(f"{place}: ")


def test_a_socket_path_over_the_kernels_limit_is_refused(tmp_path: Path) -> None:
    """sun_path has 108 bytes; the message has the size and what to do."""
    longest = "/" + "s" * 106
    environ = {"QUEUECTL_SOCKET": longest, "QUEUECTL_HOME": str(tmp_path)}
    assert str(config.load(Sources(environ=environ)).socket) == longest
    (problem,) = problems(tmp_path, flags={"socket": "/" + "ü" * 54})
    assert problem.startswith("--socket: the socket /ü")
    assert "109 bytes" in problem
    assert "107" in problem


@pytest.mark.parametrize(
    ("said", "origin"),
    [
        ({"file": 'run_as = "submitter"'}, "queuectld.toml:1: run_as: "),
        ({"flags": {"run_as": "submitter"}}, "--run-as: "),
    ],
    ids=["file", "flag"],
)
def test_only_root_can_be_told_to_run_jobs_as_their_submitters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: Any, origin: str
) -> None:
    """Another user gets a message with the origin and what to do."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (problem,) = problems(tmp_path, **said)
    assert problem == (
        f"{origin}only root can run jobs as their submitters, and this is uid 1000; "
        'start the daemon as root, or choose run_as = "daemon"'
    )


def test_root_can_be_told_to_run_jobs_as_their_submitters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the option it does not."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    sources = {"home": str(tmp_path), "cwd": str(tmp_path)}
    assert not config.load(Sources(**sources)).as_submitter
    assert config.load(Sources(flags={"run_as": "submitter"}, **sources)).as_submitter
