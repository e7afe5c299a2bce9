"""The manual pages are what the commands and the table of options say of themselves."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from queuectl.cli.root import root
from queuectld.__main__ import command as daemon
from queuectld.config import OPTIONS
from queuectld.core.settings import SETTINGS
from tools import generate_man, man_words, roff

PAGES = generate_man.pages()
CLIENT, DAEMON, FILE = PAGES.values()


def test_the_pages_are_current() -> None:
    """They are what ``python tools/generate_man.py`` writes now, and all there are."""
    files = {file: file.read_text() for file in generate_man.FOLDER.iterdir()}
    assert files == PAGES


def test_the_pages_are_the_same_in_another_place(tmp_path: Path) -> None:
    """Neither time nor environment are in them: whoever builds them gets the same."""
    code = "from tools import generate_man; print(*generate_man.pages().values())"
    environ = {
        "PATH": "/usr/bin:/bin",
        "COLUMNS": "40",
        "HOME": str(tmp_path),
        "LC_ALL": "C",
        "PYTHONPATH": ":".join(path for path in sys.path if path),
        "QUEUECTL_AUTOSTART": "0",
        "QUEUECTL_HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
    }
    made = subprocess.run(
        [sys.executable, "-c", code], env=environ, check=True, capture_output=True
    )
    assert made.stdout.decode() == " ".join(PAGES.values()) + "\n"


def test_every_command_has_its_options_in_it() -> None:
    """Each command is a heading, with its usage and its options below it."""
    contexts = list(_contexts(click.Context(root, info_name="queuectl")))
    assert {"queuectl dlq purge", "queuectl run"} <= {c.command_path for c in contexts}
    for ctx in contexts:
        heading = f'\n.SS "{roff.literal(ctx.command_path)}"\n'
        assert CLIENT.count(heading) == 1, ctx.command_path
        below = re.split(r"\n\.S[SH] ", CLIENT.split(heading)[1])[0]
        assert below.startswith(roff.bold(ctx.command_path))
        for option in _options(ctx.command):
            assert _tagged(option, below), (ctx.command_path, option.opts)


def test_the_options_of_the_programs_themselves_are_there() -> None:
    """Those that go before a command, and those of the daemon, with --help."""
    for page, command in ((CLIENT, root), (DAEMON, daemon)):
        options = page.split('.SH "OPTIONS"\n')[1].split("\n.SH ")[0]
        for option in _options(command):
            assert _tagged(option, options), option.opts
        assert f"{roff.bold('-h')}, {roff.bold('--help')}" in options


def test_every_key_is_there() -> None:
    """Those of the file with flag, variable and default, and the settings of jobs."""
    for key, option in OPTIONS.items():
        text = FILE.split(f"\n{roff.bold(key)} = ")[1].split("\n.TP")[0]
        for part in (option.flag, option.variable, option.applies, option.range):
            assert roff.literal(part) in text, key
        for word in option.default_text.split():
            assert roff.literal(word) in text, key
    for key in SETTINGS:
        assert f".TP\n{roff.bold(key)}\n" in CLIENT
    for role in ("read", "submit", "operate", "admin"):
        assert re.search(rf"(?m)^{role} = \[", FILE)


def test_the_signals_and_exit_statuses_are_there() -> None:
    """What the daemon listens to, and every status that it can end with."""
    source = (generate_man.ROOT / "queuectld" / "daemon.py").read_text()
    listened = set(re.findall(r"signal\.(SIG[A-Z0-9]+)", source)) - {"SIGCHLD"}
    assert listened >= {"SIGTERM", "SIGHUP", "SIGUSR1"}
    signals = DAEMON.split('.SH "SIGNALS"\n')[1].split("\n.SH ")[0]
    assert listened <= set(re.findall(r"SIG[A-Z0-9]+", signals))
    statuses = DAEMON.split('.SH "EXIT STATUS"\n')[1].split("\n.SH ")[0]
    tags = re.findall(r"\.TP\n\\fB(\d+)\\fR\n", statuses)
    assert tags == ["0", "1", "2", "4", "5", "6"]


@pytest.mark.parametrize("page", PAGES.values(), ids=[file.name for file in PAGES])
def test_no_text_is_taken_for_a_request(page: str) -> None:
    """Lines that begin with a dot are the macros that were meant; all is ASCII."""
    requests = set(re.findall(r"(?m)^[.'].*?(?=[ \n])", page))
    assert requests <= {
        '.\\"', ".TH", ".SH", ".SS", ".PP", ".TP", ".IP", ".RS", ".RE", ".EX", ".EE",
        ".br", ".nh", ".ad",
    }  # fmt: skip
    escapes = set(re.findall(r"\\(\(..|\[u[0-9A-F]{4,5}\]|.)", page))
    assert escapes <= {
        '"', "-", "&", "fB", "fI", "fR", "f",
        "(aq", "(bu", "(dq", "(ga", "(ha", "(rs", "(ti",
    } | {escape for escape in escapes if escape.startswith("[u")}  # fmt: skip
    assert page.isascii()
    assert page.endswith("\n")


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_groff_has_nothing_to_say(file: Path) -> None:
    """With every warning that it has."""
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    made = _run(["groff", "-man", "-ww", "-Tutf8", str(file)])
    assert (made.returncode, made.stderr) == (0, "")


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_mandoc_misses_a_date_alone(file: Path) -> None:
    """A date would change from build to build."""
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    said = _run(["mandoc", "-Tlint", str(file)]).stdout
    assert [line for line in said.splitlines() if "missing date" not in line] == []


def test_examples_come_out_as_they_can_be_copied() -> None:
    """Quotes, hyphens, tildes and backslashes are the characters that shells know."""
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    shown = _shown(CLIENT)
    for line in (
        "queuectl enqueue -c '{ make; } 2>&1' -p 5 --timeout 10m --at 22:00",
        """ls *.wav | sed 's/.*/lame "&"/' | queuectl enqueue --file - --lines""",
        """echo 'eval "$(queuectl completion bash)"' >> ~/.bashrc""",
    ):
        assert f"\n           {line}\n" in shown


@pytest.mark.parametrize(
    "text",
    [".dot", "'quote", r"\n back \\ slash", "-x --long-option", "~ ^ ` '\"", "a…b → ü"],
)
def test_any_text_comes_out_as_it_went_in(text: str) -> None:
    """As a heading, as an example, in a sentence, and as a tag."""
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    lines = [
        *roff.head("page", 1, "source", "manual"),
        roff.subsection(text),
        *roff.example(text),
        ".PP",
        *roff.filled(roff.bold(text)),
        *roff.definition(roff.literal(text), "meaning"),
    ]
    shown = _shown(roff.page(lines)).splitlines()
    heading, example, sentence, tag = [
        line.strip() for line in shown[1:-1] if line.strip() not in {"", "meaning"}
    ]
    assert heading == example == sentence == tag.removesuffix("meaning").strip() == text


def test_sentences_are_marked_up() -> None:
    """Code, options, stress, links and other pages; a hyphen in a word stays one."""
    assert roff.prose("a `max_page` (see --cwd)") == (
        r"a \fBmax_page\fR (see \fB\-\-cwd\fR)"
    )
    assert roff.prose("the *last* of **all `of` it**") == (
        r"the \fIlast\fR of \fBall of it\fR"
    )
    assert roff.prose("[here](there.md), `sd_notify(3)`") == (
        r"here, \fBsd_notify\fR(3)"
    )
    assert roff.prose("a so-called job's /a-b") == r"a so-called job's /a\-b"
    assert roff.syntax("-f, --file FILE | x") == (
        r"\fB\-f\fR, \fB\-\-file\fR \fIFILE\fR | \fBx\fR"
    )


def test_the_examples_are_commands_that_there_are() -> None:
    """Every line of the examples can be parsed by the command that it calls."""
    lines = re.findall(r"(?m)^ {4}queuectl (.+)$", man_words.EXAMPLES)
    assert len(lines) > 5
    for line in lines:
        _parse(click.Context(root, info_name="queuectl"), shlex.split(line))


def test_the_package_installs_the_pages() -> None:
    """Each goes to the folder of its section, where man(1) looks for it."""
    pyproject = tomllib.loads((generate_man.ROOT / "pyproject.toml").read_text())
    wheel = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["shared-data"] == {
        str(file.relative_to(generate_man.ROOT)): (
            f"share/man/man{file.suffix[1:]}/{file.name}"
        )
        for file in PAGES
    }


def _contexts(parent: click.Context) -> Iterator[click.Context]:
    """Yield every command below one, in a context of its own."""
    assert isinstance(parent.command, click.Group)
    for name in parent.command.list_commands(parent):
        command = parent.command.get_command(parent, name)
        assert command is not None
        ctx = click.Context(command, info_name=name, parent=parent)
        yield ctx
        if isinstance(command, click.Group):
            yield from _contexts(ctx)


def _options(command: click.Command) -> list[click.Option]:
    return [
        param
        for param in command.params
        if isinstance(param, click.Option) and not param.hidden
    ]


def _tagged(option: click.Option, text: str) -> bool:
    """Return whether one tag of a definition has all the option's names."""
    names = [*option.opts, *option.secondary_opts]
    tags = re.findall(r"\.TP\n(.+)\n", text)
    return any(all(roff.bold(name) in tag for name in names) for tag in tags)


def _parse(ctx: click.Context, words: list[str]) -> None:
    """Parse as the program would, and run nothing."""
    if isinstance(ctx.command, click.Group):
        _values, rest, _order = ctx.command.make_parser(ctx).parse_args(words)
        name, command, arguments = ctx.command.resolve_command(ctx, rest)
        assert command is not None
        _parse(click.Context(command, info_name=name, parent=ctx), arguments)
    else:
        ctx.command.make_context(ctx.info_name, words, parent=ctx.parent)


def _shown(page: str) -> str:
    """Return a page as a terminal shows it, without bold and italics."""
    made = _run(["groff", "-man", "-Tutf8", "-P-c"], page)
    return re.sub(r".\x08", "", made.stdout)


def _run(command: list[str], text: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, input=text, check=False, capture_output=True, encoding="utf-8"
    )
