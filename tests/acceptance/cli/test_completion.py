"""Tab in real shells: what each verb takes is offered, quickly and without a word."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from helpers.cli import Cli, Said
from helpers.home import a_home
from helpers.terminal import Terminal, plain

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}

LOAD = {
    "bash": 'eval "$(queuectl completion bash)"',
    "zsh": 'eval "$(queuectl completion zsh)"',
    "fish": "queuectl completion fish | source",
}

here = [
    pytest.param(
        shell,
        marks=pytest.mark.skipif(
            not shutil.which(shell), reason=f"there is no {shell}"
        ),
    )
    for shell in START
]


ALL = [*START, "fish"]

needs_fish = pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish")


class Shell(Terminal):
    """An interactive shell that has read our script, at whose prompt somebody types."""

    def __init__(self, cli: Cli, name: str) -> None:
        super().__init__(
            START[name],
            cwd=cli.home.work,
            env={**cli.home.environ, "TERM": "xterm", "PS1": "> "},
            columns=200,
        )
        self._lines = 0
        self.run(LOAD[name])

    def run(self, command: str) -> str:
        """Run a command line to its end; return what was shown meanwhile."""
        self._lines += 1
        self.shown = ""
        # What is typed is shown as well, so it is not the text that is waited for.
        self.type(f"{command}; echo end-''{self._lines}\r")
        return self.until(f"end-{self._lines}\r\n")

    def tab(self, line: str, expected: str) -> str:
        """Type a line and Tab; return what is shown when the expected text is."""
        self.shown = ""
        self.type(f"{line}\t")
        shown = self.until(expected)
        self.type("\x03")
        self.run("true")
        return shown


@pytest.fixture(scope="module")
def cli() -> Iterator[Cli]:
    """A queue in which one job is dead, one is done and one waits, and some files."""
    with a_home() as home:
        made = Cli(home)
        made.ok("worker", "start")
        made.ended("exit 3", "--id", "job-dead", "--max-retries", "0")
        made.ended("true", "--id", "job-done")
        made.enqueue("true", "--id", "job-waiting", "--delay", "1d")
        (home.work / "some-dir").mkdir()
        (home.work / "other-file").touch()
        program = home.root / "unusual-program"  # the home is in PATH
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        yield made


@pytest.fixture(scope="module", params=here)
def shell(request: pytest.FixtureRequest, cli: Cli) -> Iterator[Shell]:
    """A shell in which all tests type."""
    with Shell(cli, request.param) as made:
        yield made


LINES = pytest.mark.parametrize(
    ("line", "whole"),
    [
        ("queuectl wor", "worker"),
        ("queuectl dlq ret", "retry"),
        ("queuectl dlq retry job-", "job-dead"),
        ("queuectl dlq show job-", "job-dead"),
        ("queuectl cancel job-", "job-waiting"),
        ("queuectl wait ", "job-waiting"),
        ("queuectl retry job-done ", "job-dead"),
        ("queuectl list --state=comp", "--state=completed"),
        ("queuectl list --state proc", "processing"),
        ("queuectl config set max_r", "max_retries"),
        ("queuectl enqueue --cwd some-", "some-dir/"),
        ("queuectl enqueue --cwd=some-", "--cwd=some-dir/"),
        ("queuectl --socket other-", "other-file"),
        ("queuectl enqueue --file=other-", "--file=other-file"),
        ("queuectl enqueue unusual-", "unusual-program"),
        ("queuectl run -- unusual-", "unusual-program"),
        ("queuectl run -- cat other-", "other-file"),
        ("queuectl run -- ls -p other-", "other-file"),
    ],
)
"""What is typed, and the one thing that can stand there."""


@LINES
def test_tab_completes_what_fits(shell: Shell, line: str, whole: str) -> None:
    """It is written out, in each shell alike."""
    # zsh shows the character that it may take away again in bold.
    assert whole in plain(shell.tab(line, whole.rstrip("/")))


def fish(cli: Cli, script: str, *arguments: str) -> list[str]:
    """Return what fish writes after it has read our script, which is nothing more."""
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"{LOAD['fish']}; {script}", *arguments],
        capture_output=True,
        text=True,
        env=cli.home.environ | {"TERM": "dumb"},
        cwd=cli.home.work,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@needs_fish
@LINES
def test_fish_completes_what_fits(cli: Cli, line: str, whole: str) -> None:
    """It tells itself what it would write out: the word, a tab and its meaning."""
    offered = fish(cli, "complete --do-complete $argv[1]", line)
    assert [each.partition("\t")[0] for each in offered] == [whole]


def test_tab_shows_what_there_is_to_choose(shell: Shell) -> None:
    """Of several the names are shown; not those of jobs that do not fit."""
    shown = shell.tab("queuectl show job-\t", "job-waiting")
    assert {"job-dead", "job-done"} <= set(plain(shown).replace("\r", " ").split())


@pytest.mark.parametrize("name", here)
def test_a_shell_is_taught_without_a_word(fresh: Cli, name: str) -> None:
    """Whatever it has loaded before, which is nothing here; and starts no daemon."""
    with Shell(fresh, name) as shell:
        shown = shell.run(LOAD[name])
        assert "not found" not in shown
        assert "rror" not in shown
        shell.tab("queuectl show nothing", "\a")  # it beeps: nothing fits
        assert not fresh.home.socket.exists()
    assert not fresh.home.log()


def test_zsh_with_compinit_later_keeps_ours(cli: Cli) -> None:
    """What is loaded further down does not make it forget."""
    if not shutil.which("zsh"):
        pytest.skip("there is no zsh")
    dotfiles = cli.home.work / "dotfiles"
    dotfiles.mkdir()
    lines = (LOAD["zsh"], "autoload -Uz compinit", "compinit -D -u")
    (dotfiles / ".zshrc").write_text("".join(f"{line}\n" for line in lines))
    with Terminal(
        ["zsh", "-i"],
        cwd=cli.home.work,
        env={**cli.home.environ, "TERM": "xterm", "ZDOTDIR": str(dotfiles)},
        columns=200,
    ) as zsh:
        zsh.type("queuectl dlq retry job-\t")
        zsh.until("job-dead")


def answered(cli: Cli, shell: str, line: str, **variables: str) -> Said:
    """Return what our command answers a shell."""
    asked = {"_QUEUECTL_COMPLETE": f"{shell}_complete", "_QUEUECTL_LINE": line}
    return cli(**asked, **variables)


@pytest.mark.parametrize(
    "line",
    [
        "", " ", "queuectl", "queuectl '", 'queuectl "\\', "queuectl nope x",
        "queuectl --nope ", "queuectl list --state", "queuectl list --state=",
        "queuectl enqueue -- ", "queuectl --socket /no/such show ",
        "queuectl --socket " + "x" * 300 + " show ", "queuectl show \udc80",
        "queuectl worker start --count x ", "queuectl rpc get {",
    ],
)  # fmt: skip
def test_no_line_is_answered_with_an_error(fresh: Cli, line: str) -> None:
    """However far it is typed, and however wrong it is; no daemon is started."""
    for shell in ALL:
        said = answered(fresh, shell, line)
        assert (said.code, said.err) == (0, "")
    assert not fresh.home.socket.exists()


def test_bash_gets_the_rest_of_what_it_has_cut(cli: Cli) -> None:
    """It takes = and : for ends of words, and keeps what stands before them."""
    cli.enqueue("true", "--id", "night:one", "--delay", "1d")
    line = "queuectl show night:o"
    assert answered(cli, "bash", line, _QUEUECTL_BREAKS=":=").out.startswith(
        "plain\tone\t"
    )
    assert answered(cli, "zsh", line).out.startswith("plain\tnight:one\t")


def test_what_is_offered_cannot_act_on_a_terminal(cli: Cli) -> None:
    """A label or a command of somebody else is shown escaped, and in one line."""
    cli.enqueue("printf '\x1b[31m\n\t'", "--id", "escape", "--delay", "1d")
    said = answered(cli, "fish", "queuectl show esc").out
    assert said == "plain\tescape\tpending: printf '\\\\x1b[31m\\\\n\\\\t'\n"


def test_the_script_of_an_older_version_still_works(cli: Cli) -> None:
    """Fish keeps it in a file."""
    asked = {"COMP_WORDS": "queuectl dlq retry ", "COMP_CWORD": ""}
    said = cli(_QUEUECTL_COMPLETE="fish_complete", **asked)
    assert said.out.startswith("plain,job-dead\t")
