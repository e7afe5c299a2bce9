"""``systemd install`` and ``uninstall``: units for this installation, in an image."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import pytest

import queuectl
import queuectl_protocol
from helpers.cli import Cli
from helpers.home import BIN

CHECKOUT = Path(__file__).parents[3]

LAUNCHER = """\
#!{python}
import sys
sys.path.insert(0, {library!r})
from queuectl.__main__ import main
main()
"""
"""As pip writes it, but for the path."""

EXAMPLES = tuple(
    f"queuectld.service.d/{name}.conf.example"
    for name in ("local", "privileges", "strict", "submitter")
)
EXAMPLE = EXAMPLES[0]

SYSTEM = (
    "etc/queuectl/queuectld.toml",
    "etc/sysusers.d/queuectl.conf",
    *(f"etc/systemd/system/{example}" for example in EXAMPLES),
    "etc/systemd/system/queuectld.service",
    "etc/systemd/system/queuectld.socket",
    "etc/systemd/system/queuectld-jobs.service",
)

SERVICE = "etc/systemd/system/queuectld.service"

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze"
)
needs_systemctl = pytest.mark.skipif(
    shutil.which("systemctl") is None or shutil.which("systemd-sysusers") is None,
    reason="needs systemctl and systemd-sysusers",
)


class Installation:
    """What pip makes of the wheel, in a directory of its own, and an image to fill.

    Attributes:
        bin: where its commands are.
        image: what ``--root`` names.
        home: the user's.
    """

    def __init__(self, directory: Path, python: str) -> None:
        self.bin = directory / "bin"
        self.image = directory.parent / "image"
        self.home = directory.parent / "home"
        for made in (self.bin, self.image, self.home):
            made.mkdir(parents=True)
        library = directory / "lib"
        for package in (queuectl, queuectl_protocol, click):
            code = Path(str(package.__file__)).parent
            shutil.copytree(code, library / code.name)
        for source, there in _included().items():
            shutil.copytree(CHECKOUT / source, library / there)
        launcher = LAUNCHER.format(python=python, library=str(library))
        for name, text in (("queuectl", launcher), ("queuectld", "#!/bin/sh\n")):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)

    def run(
        self, *arguments: str, command: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``queuectl systemd`` to its end, as one with a strict umask does."""
        return subprocess.run(
            [command or self.bin / "queuectl", "systemd", *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            umask=0o077,
            timeout=60,
            check=False,
        )

    def ok(self, *arguments: str, **options: Any) -> str:
        """Run one that succeeds and has nothing to remark, in the image."""
        done = self.run(*arguments, "--root", str(self.image), **options)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def refused(self, *arguments: str, **options: Any) -> str:
        """Run one that is refused with one line, in the image; return that line."""
        done = self.run(*arguments, "--root", str(self.image), **options)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        return done.stderr.removeprefix("queuectl: ").rstrip("\n")

    def files(self) -> dict[str, str]:
        """Return the text of everything in the image that is a file."""
        return {
            str(path.relative_to(self.image)): path.read_text()
            for path in self.image.rglob("*")
            if path.is_file()
        }


def _included() -> dict[str, str]:
    """Return what the wheel has besides its packages: source -> path in it."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    included: dict[str, str] = wheel["force-include"]
    return included


def _python() -> str:
    """Return a Python that a service can run: one in nobody's home."""
    for python in (sys.executable, "/usr/bin/python3"):
        if os.path.realpath(python).startswith(("/root/", "/home/")):
            continue
        asked = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        if Path(python).exists() and not subprocess.run(asked, check=False).returncode:
            return python
    pytest.skip("needs a Python of 3.11 or later that is in nobody's home")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every account can enter, unlike pytest's."""
    with TemporaryDirectory(prefix="queuectl-install-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def there(place: Path) -> Installation:
    """An installation for the whole machine."""
    return Installation(place / "opt", _python())


def verified(directory: Path, manager: str) -> subprocess.CompletedProcess[str]:
    """Have systemd read the units of a directory.

    A user's systemd says where sockets are, and too long a path is no address.
    """
    units = sorted(each for each in directory.glob("queuectl*") if each.is_file())
    assert len(units) >= 3
    return subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=yes", f"--{manager}", *units],
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
    )


def reloading(unit: str) -> list[str]:
    """Return the commands of ``ExecReload=`` without what makes them quiet."""
    lines = [line for line in unit.splitlines() if line.startswith("ExecReload=")]
    return [line.rpartition("' ")[2].removeprefix("ExecReload=") for line in lines]


def program(unit: str) -> str:
    """Return the first word of ``ExecStart=``."""
    (line,) = (line for line in unit.splitlines() if line.startswith("ExecStart="))
    return line.removeprefix("ExecStart=").partition(" ")[0]


def test_install_writes_all_that_a_system_needs(there: Installation) -> None:
    """Units, user, example and configuration, readable by all whatever the umask."""
    said = there.ok("install", "--system")
    files = there.files()
    assert set(files) == set(SYSTEM)
    for name in SYSTEM:
        assert f"written  {there.image / name}\n" in said
        path = there.image / name
        assert path.stat().st_mode & 0o7777 == 0o644
        for parent in path.relative_to(there.image).parents[:-1]:
            assert (there.image / parent).stat().st_mode & 0o7777 == 0o755
    assert program(files[SERVICE]) == str(there.bin / "queuectld")
    assert "--config /etc/queuectl/queuectld.toml\n" in files[SERVICE]
    assert reloading(files[SERVICE]) == [
        f"{there.bin}/queuectld --config /etc/queuectl/queuectld.toml --check-config",
        "kill -HUP $MAINPID",
        f"{there.bin}/queuectl --socket /run/queuectl/queuectl.sock status",
    ]


def test_what_it_wrote_is_marked_but_for_the_configuration(
    there: Installation,
) -> None:
    """The rest of each file is the template."""
    there.ok("install", "--system")
    files = there.files()
    sample = (CHECKOUT / "systemd/queuectld.toml").read_text()
    assert files.pop("etc/queuectl/queuectld.toml") == sample
    for name, text in files.items():
        first, _, rest = text.partition("\n")
        assert first.startswith('# Written by "queuectl systemd install" (')
        if name != SERVICE:
            template = name.removeprefix("etc/").removeprefix("systemd/system/")
            there_of_it = rest.replace(f"{there.bin}/", "")
            assert there_of_it == (CHECKOUT / "systemd" / template).read_text()


@needs_systemctl
def test_the_commands_it_prints_make_a_service_of_it(there: Installation) -> None:
    """In an image: systemd's own tools make the user and enable both units."""
    *_, users, enable = there.ok("install", "--system").splitlines()
    assert there.files().keys() == set(SYSTEM)  # nothing is enabled by itself
    for command in (users, enable):
        subprocess.run(command.split(), capture_output=True, check=True)
    etc = there.image / "etc"
    assert ":/var/lib/queuectl:" in (etc / "passwd").read_text()
    assert (etc / "systemd/system/sockets.target.wants/queuectld.socket").is_symlink()
    wants = etc / "systemd/system/multi-user.target.wants"
    assert (wants / "queuectld.service").is_symlink()


@needs_analyze
@pytest.mark.systemd
@pytest.mark.parametrize("manager", ["system", "user"])
def test_systemd_finds_nothing_wrong(there: Installation, manager: str) -> None:
    """Neither with the units nor with an example, once it is a drop-in."""
    there.ok("install", f"--{manager}")
    (service,) = there.image.rglob("queuectld.service")
    examples = EXAMPLES if manager == "system" else [EXAMPLE]
    for example in (service.parent / name for name in examples):
        drop_in = example.with_suffix("")
        shutil.copy(example, drop_in)
        checked = verified(service.parent, manager)
        assert (checked.returncode, checked.stderr) == (0, ""), example.name
        drop_in.unlink()


@needs_analyze
@pytest.mark.systemd
def test_a_path_may_have_characters_that_mean_something(place: Path) -> None:
    """Systemd finds the program all the same: it looks for it when it verifies."""
    there = Installation(place / "a b 50%d $HOME", _python())
    there.ok("install", "--system")
    directory = there.image / "etc/systemd/system"
    assert verified(directory, "system").stderr == ""
    unit = there.files()[SERVICE]
    path = str(there.bin).replace("%", "%%")
    assert f'ExecStart="{path}/queuectld" ' in unit
    assert f""" >/dev/null' "{path.replace("$", "$$")}/queuectld" """ in unit
    (there.bin / "queuectld").unlink()
    assert "is not executable" in verified(directory, "system").stderr


@pytest.mark.parametrize("character", ['"', "'", "\\", "\t", "\udcff"])
def test_a_path_that_no_unit_can_name_is_refused(place: Path, character: str) -> None:
    """Systemd would refuse the unit, and say less about it."""
    there = Installation(place / f"a{character}b", _python())
    said = there.refused("install", "--system")
    assert said.startswith("no unit file can name ")
    assert there.files() == {}


def test_a_users_units_are_where_its_systemd_looks(there: Installation) -> None:
    """Below XDG_CONFIG_HOME or ~/.config; no user, no configuration, nothing else."""
    there.ok("install", "--user")
    where = str(there.home / ".config/systemd/user").removeprefix("/")
    files = there.files()
    names = (EXAMPLE, *(Path(unit).name for unit in SYSTEM[-3:]))
    assert set(files) == {f"{where}/{name}" for name in names}
    unit = files[f"{where}/queuectld.service"]
    assert program(unit) == str(there.bin / "queuectld")
    assert reloading(unit) == [
        f"{there.bin}/queuectld --check-config",
        "kill -HUP $MAINPID",
        f"{there.bin}/queuectl --user status",
    ]
    there.ok("install", "--user", XDG_CONFIG_HOME="/elsewhere")
    assert "elsewhere/systemd/user/queuectld.service" in there.files()


def test_root_means_the_system_and_others_mean_themselves(there: Installation) -> None:
    """Unless it is said."""
    found = json.loads(there.ok("install", "--dry-run", "--json"))
    assert found["manager"] == ("user" if os.geteuid() else "system")


def test_a_checkout_finds_its_templates(fresh: Cli, tmp_path: Path) -> None:
    """The command of an editable installation names the program beside it."""
    root = ("--root", str(tmp_path))
    found = fresh.json("systemd", "install", "--user", "--json", *root)
    service = Path(found["files"][1]["path"])
    assert program(service.read_text()) == str(BIN / "queuectld")


def test_a_link_to_the_command_stays_a_link(there: Installation) -> None:
    """The path that its user knows is in the unit, if queuectld has one there too."""
    links = there.home / "bin"
    links.mkdir()
    (links / "queuectl").symlink_to(there.bin / "queuectl")
    there.ok("install", "--system", command=links / "queuectl")
    assert program(there.files()[SERVICE]) == str(there.bin / "queuectld")
    (links / "queuectld").symlink_to(there.bin / "queuectld")
    there.ok("install", "--system", command=links / "queuectl")
    assert program(there.files()[SERVICE]) == str(links / "queuectld")


def test_dry_run_shows_all_and_changes_nothing(there: Installation) -> None:
    """Each path and the whole text that it would have, as systemctl cat does."""
    shown = there.ok("install", "--system", "--dry-run")
    assert there.files() == {}
    there.ok("install", "--system")
    for name, text in there.files().items():
        assert f"# {there.image / name}\n{text}" in shown
    before = there.files()
    shown = there.ok("uninstall", "--system", "--dry-run")
    assert f"removed  {there.image / SERVICE}\n" in shown
    assert there.files() == before


def test_json_tells_the_same(there: Installation) -> None:
    """Which file, what became of it, its text in a dry run, and what to run next."""
    dry = json.loads(there.ok("install", "--system", "--dry-run", "--json"))
    assert dry["dry_run"] is True
    done = json.loads(there.ok("install", "--system", "--json"))
    assert {each["action"] for each in done["files"]} == {"written"}
    assert [each["path"] for each in done["files"]] == [
        str(there.image / name) for name in SYSTEM
    ]
    assert done["next"] == [
        f"systemd-sysusers --root={there.image}",
        f"systemctl --root={there.image} enable queuectld.socket queuectld.service",
    ]
    for each in dry["files"]:
        assert Path(each["path"]).read_text() == each["text"]


def test_install_again_changes_nothing(there: Installation) -> None:
    """Files that are as they should be are not even written."""
    there.ok("install", "--system")
    before = (there.image / SERVICE).stat()
    said = there.ok("install", "--system")
    assert said.count("unchanged  ") == len(SYSTEM) - 1
    assert f"kept       {there.image / SYSTEM[0]}\n" in said
    after = (there.image / SERVICE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_new_version_replaces_what_nobody_has_changed(there: Installation) -> None:
    """Units of an earlier version are those that its install wrote."""
    there.ok("install", "--system")
    template = there.bin.parent / "lib/queuectl/systemd/queuectld.service"
    template.write_text(template.read_text() + "# newer\n")
    said = there.ok("install", "--system")
    assert said.count("written") == 1
    assert there.files()[SERVICE].endswith("# newer\n")


@pytest.mark.parametrize("mine", ["[Service]\n", ""])
def test_a_file_of_others_is_refused(there: Installation, mine: str) -> None:
    """By name, and then nothing at all is written, unless it is forced."""
    path = there.image / SERVICE
    path.parent.mkdir(parents=True)
    path.write_text(mine)
    for dry_run in ((), ("--dry-run",)):
        said = there.refused("install", "--system", *dry_run)
        assert said.startswith(f"{path} was not written by queuectl; ")
        assert "--force" in said
    assert there.files() == {SERVICE: mine}
    there.ok("install", "--system", "--force")
    assert program(there.files()[SERVICE]) == str(there.bin / "queuectld")


def test_a_changed_file_is_refused(there: Installation) -> None:
    """An edit under our mark is somebody's work; uninstall asks for --force too."""
    there.ok("install", "--system")
    path = there.image / SERVICE
    path.write_text(path.read_text() + "Nice=5\n")
    before = there.files()
    for command in ("install", "uninstall"):
        said = there.refused(command, "--system")
        assert said.startswith(f"{path} was changed since queuectl wrote it; ")
    assert there.files() == before
    there.ok("uninstall", "--system", "--force")
    assert set(there.files()) == {SYSTEM[0]}


def test_a_copy_made_by_hand_is_taken_over(there: Installation) -> None:
    """It says the same, so nothing is lost by marking it."""
    name = SYSTEM[-2]
    (there.image / name).parent.mkdir(parents=True)
    shutil.copy(CHECKOUT / "systemd/queuectld.socket", there.image / name)
    there.ok("install", "--system")
    assert there.files()[name].startswith("# Written by ")


def test_a_masked_unit_stays_masked(there: Installation) -> None:
    """A link, as systemctl mask makes it, is not ours."""
    path = there.image / SERVICE
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/null")
    assert f"{path} was not written by queuectl" in there.refused("install", "--system")
    assert path.is_symlink()


def test_the_configuration_is_its_administrators(there: Installation) -> None:
    """It is written once, and neither --force nor uninstall touches it."""
    path = there.image / "etc/queuectl/queuectld.toml"
    path.parent.mkdir(parents=True)
    path.write_text("max_page = 500\n")
    there.ok("install", "--system", "--force")
    assert path.read_text() == "max_page = 500\n"
    said = there.ok("uninstall", "--system", "--force")
    assert path.read_text() == "max_page = 500\n"
    assert f"left     {path}\n" in said


def test_uninstall_removes_what_install_wrote_and_no_more(there: Installation) -> None:
    """Drop-ins, configuration and state stay, and it says so of what is queuectl's."""
    there.ok("install", "--system")
    state = there.image / "var/lib/queuectl"
    state.mkdir(parents=True)
    (state / "queuectl.db").write_text("jobs")
    mine = there.image / "etc/systemd/system/queuectld.service.d/mine.conf"
    mine.write_text("[Service]\nNice=5\n")
    said = there.ok("uninstall", "--system")
    kept = {SYSTEM[0], "var/lib/queuectl/queuectl.db"}
    assert set(there.files()) == {*kept, str(mine.relative_to(there.image))}
    assert f"left     {state}\n" in said
    mine.unlink()
    assert there.ok("uninstall", "--system").startswith("there is nothing to remove\n")


def test_uninstall_leaves_no_directory_of_drop_ins(there: Installation) -> None:
    """The one that install made for the examples."""
    there.ok("install", "--system")
    there.ok("uninstall", "--system")
    assert list((there.image / "etc/systemd/system").iterdir()) == []


@needs_systemctl
def test_an_enabled_service_is_not_taken_away(there: Installation) -> None:
    """The command that it names first makes it possible."""
    enable = there.ok("install", "--system").splitlines()[-1].split()
    subprocess.run(enable, capture_output=True, check=True)
    said = there.refused("uninstall", "--system")
    assert said.startswith("queuectld.service is enabled; first: systemctl --root=")
    assert SERVICE in there.files()
    disable = said.partition("first: ")[2].split()
    subprocess.run(disable, capture_output=True, check=True)
    there.ok("uninstall", "--system")


@pytest.fixture
def running(there: Installation) -> Installation:
    """A user's installation whose systemctl says that the service is active.

    A stand-in: a user's systemd is not to be had in a test.
    """
    fake = there.home / "systemctl"
    fake.write_text('#!/bin/sh\n[ "$1 $2" = "--user is-active" ]\n')
    fake.chmod(0o755)
    return there


def test_a_service_that_runs_is_to_be_stopped_first(running: Installation) -> None:
    """Uninstall refuses; install tells to restart it."""
    path = f"{running.home}:{os.environ['PATH']}"
    installed = running.run("install", "--user", PATH=path)
    assert installed.stdout.endswith("systemctl --user restart queuectld.service\n")
    refused = running.run("uninstall", "--user", PATH=path)
    assert refused.returncode == 1
    assert refused.stderr == (
        "queuectl: queuectld.service is active; first: "
        "systemctl --user disable --now queuectld.service queuectld.socket\n"
    )
    assert (running.home / ".config/systemd/user/queuectld.service").exists()


def test_a_user_is_told_all_that_is_to_be_done(there: Installation) -> None:
    """With the daemon that the command line started, which has to end first."""
    fails = there.home / "systemctl"
    fails.write_text("#!/bin/sh\nexit 3\n")
    fails.chmod(0o755)
    variables = {"PATH": f"{there.home}:{os.environ['PATH']}"}
    steps = [
        "  systemctl --user daemon-reload",
        "  systemctl --user enable --now queuectld.socket queuectld.service",
        "  loginctl enable-linger",
    ]
    said = there.run("install", "--user", **variables).stdout
    assert said.partition("Next:\n")[2].splitlines() == steps
    state = there.home / ".local/state/queuectl"
    state.mkdir(parents=True)
    (state / "queuectl.sock").touch()
    said = there.run("install", "--user", **variables).stdout
    steps.insert(1, "  queuectl --user daemon stop")
    assert said.partition("Next:\n")[2].splitlines() == steps


@pytest.mark.parametrize("name", ["QUEUECTL_HOME", "QUEUECTL_SOCKET"])
def test_a_variable_that_leads_elsewhere_is_mentioned(
    there: Installation, name: str
) -> None:
    """With it commands would not find the user's service, nor stop the right daemon."""
    state = there.home / ".local/state/queuectl"
    state.mkdir(parents=True)
    (state / "queuectl.sock").touch()
    variables = {"PATH": f"{there.home}:{os.environ['PATH']}", name: "/elsewhere"}
    (there.home / "systemctl").symlink_to(shutil.which("false") or "/bin/false")
    done = there.run("install", "--user", **variables)
    assert done.returncode == 0
    assert done.stderr.startswith(f"{name} is set here, ")
    assert "daemon stop" not in done.stdout
    left = there.run("uninstall", "--user", **variables).stdout
    assert f"left     {state}\n" in left


def test_without_queuectld_there_is_nothing_to_install(there: Installation) -> None:
    """The message says where it was looked for."""
    (there.bin / "queuectld").unlink()
    said = there.refused("install", "--user")
    assert said.startswith(f"there is no queuectld in {there.bin}, ")
    assert there.files() == {}


def test_a_system_service_cannot_be_in_a_home(there: Installation) -> None:
    """Systemd would say 203/EXEC; the user's own service can be there."""
    inside = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        'mount --bind "$0" /home && exec /home/bin/queuectl systemd install "$@"',
        str(there.bin.parent),
        *("--dry-run", "--root", str(there.image)),
    ]
    probe = [*inside[:6], 'mount --bind "$0" /home', inside[7]]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make a mount namespace")
    done = subprocess.run(
        [*inside, "--system"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "the system's service cannot run /home/bin/queuectld: " in done.stderr
    done = subprocess.run(
        [*inside, "--user"], capture_output=True, text=True, check=False
    )
    assert "\nExecStart=/home/bin/queuectld\n" in done.stdout


def test_what_cannot_be_written_is_named(there: Installation) -> None:
    """Without a traceback, and without leaving half of a file."""
    (there.image / "etc").mkdir()
    (there.image / "etc/systemd").write_text("")
    said = there.refused("install", "--system")
    assert said == f"{there.image / 'etc/systemd/system' / EXAMPLE}: Not a directory"


def test_a_link_does_not_lead_out_of_the_image(there: Installation) -> None:
    """What it names is in the system that runs, and not in the image."""
    (there.image / "etc").symlink_to(there.home)
    said = there.refused("install", "--system")
    assert f"is a link out of {there.image}" in said
    assert list(there.home.iterdir()) == []


def test_an_image_has_to_be_there(there: Installation) -> None:
    """A mistyped directory is a mistake in the command line."""
    done = there.run("install", "--system", "--root", str(there.home / "nope"))
    assert done.returncode == 2
    assert "does not exist" in done.stderr


# -- copies of the database ------------------------------------------------------------

COPIES = ("queuectl-backup.service", "queuectl-backup.timer")


@needs_analyze
@pytest.mark.systemd
@pytest.mark.parametrize("manager", ["system", "user"])
def test_a_timer_for_copies_comes_with_the_units_if_asked_for(
    there: Installation, manager: str
) -> None:
    """It runs this queuectl; how it is enabled is told; a later install keeps it."""
    said = there.ok("install", f"--{manager}", "--backup")
    (unit,) = there.image.rglob(COPIES[0])
    assert program(unit.read_text()) == str(there.bin / "queuectl")
    assert verified(unit.parent, manager).stderr == ""
    if manager == "system":
        assert said.endswith(f" enable {COPIES[1]}\n")
    unit.write_text(unit.read_text().replace("--keep 7", "--keep 8"))
    assert "was changed" in there.refused("install", f"--{manager}")
    there.ok("install", f"--{manager}", "--force")
    there.ok("uninstall", f"--{manager}")
    assert not list(there.image.rglob("queuectl*.service"))
    assert not list(there.image.rglob("queuectl*.timer"))


def test_without_being_asked_for_there_is_no_timer(there: Installation) -> None:
    """Copies take room, and where they go is somebody's decision."""
    there.ok("install", "--system")
    assert not list(there.image.rglob("*.timer"))


# -- what the account can reach --------------------------------------------------------


@pytest.mark.parametrize(
    ("hidden", "verb", "mode"),
    [
        ("bin", "enter", 0o700),
        ("bin/queuectld", "run", 0o744),
        ("lib/queuectl/__init__.py", "read", 0o600),
        ("lib/click", "enter", 0o700),
    ],
)
def test_what_the_account_cannot_reach_is_told_with_what_mends_it(
    there: Installation, hidden: str, verb: str, mode: int
) -> None:
    """As after an installation with umask 077; nothing is written before."""
    path = there.bin.parent / hidden
    usual = path.stat().st_mode
    path.chmod(mode)
    said = there.refused("install", "--system")
    assert (
        f"runs as the user queuectl, who may not {verb} {path} (mode {mode:04o})"
        in (said)
    )
    assert said.endswith(f"mend it, then install again: chmod a+rX {path}")
    assert there.files() == {}
    there.ok("install", "--user")
    path.chmod(usual)
    there.ok("install", "--system")
