"""What every command owes its surroundings: help, version, a progress bar, Ctrl-C, a reader that goes away."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

import pytest

from mirada import __version__
from mirada.cli.commands import app
from mirada.cli.progress import progress_bar
from mirada.progress import silent

COMMANDS = (
    *("layers", "check", "convert", "augment", "train", "evaluate", "predict", "engines"),
    *("index", "search", "similar", "atlas"),
)
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def be_terminal(monkeypatch):
    """Make standard error a wide terminal. To be called inside the test: pytest changes sys.stderr before it."""

    def install():
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "140")
        fake = Terminal()
        monkeypatch.setattr("sys.stderr", fake)
        return fake

    return install


def lines_of(terminal):
    """What stood on the screen, line by line, without colours."""
    return [line.rstrip() for line in re.split(r"[\r\n]+", ESCAPE.sub("", terminal.getvalue())) if line.strip()]


def test_the_bar_shows_stage_share_rate_time_left_and_note(be_terminal):
    terminal = be_terminal()
    with progress_bar() as progress:
        for done in range(100, 800, 100):
            progress("training", done, 1000, "loss 0.5")
    shown = lines_of(terminal)[-1]
    assert shown.startswith("training ")
    assert " 70% " in shown
    assert " 700/1000 " in shown
    assert re.search(r" [\d,]+/s ", shown)
    assert re.search(r" \d:\d\d:\d\d ", shown)
    assert shown.endswith(" loss 0.5")


def test_each_stage_has_a_line_of_its_own(be_terminal):
    terminal = be_terminal()
    with progress_bar() as progress:
        progress("loading", 0, None)
        progress("reading", 2, 2)
        progress("training", 3, 3)
    loading, reading, training = lines_of(terminal)[-3:]
    assert loading.startswith("loading ")
    assert "100%" in loading  # without a total, it is done when the next stage begins
    assert (reading.split()[0], training.split()[0]) == ("reading", "training")
    assert "2/2" in reading
    assert "3/3" in training


def test_a_training_draws_its_stages_beside_the_results(be_terminal, tmp_path, monkeypatch, capsys):
    from mirada.cli import main

    monkeypatch.chdir(tmp_path)
    terminal = be_terminal()
    assert main(["train", "digits", "--from", "lenet5", "--epochs", "1"]) == 0
    shown = [re.split(r"  +| ━", line)[0] for line in lines_of(terminal)]
    stages = ["reading the training images", "reading the validation images", "training"]
    stages += ["evaluating on val", "evaluating on test", "writing the report"]
    assert shown[-6:] == stages
    out = capsys.readouterr().out
    assert out.splitlines()[-3] == "saved     digits-model"
    assert not ESCAPE.search(out)


def test_there_is_no_bar_without_a_terminal(capsys):
    with progress_bar() as progress:
        assert progress is silent
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_argument_and_option(mirada, command):
    said = mirada(command, "--help")
    assert (said.status, said.err) == (0, "")
    words = " ".join(said.out.split())
    parameters = app.commands[command].params
    assert parameters
    for parameter in parameters:
        for written in parameter.opts if parameter.param_type_name == "option" else ():
            assert re.search(rf"(?<![\w-]){re.escape(written)}(?![\w-])", said.out), written
        assert parameter.help
        assert parameter.help.replace(" ", "") in words.replace(" ", "")
    assert words.startswith(f"Usage: mirada {command} [OPTIONS] ")


def test_help_lists_every_command(mirada):
    said = mirada("--help")
    assert tuple(re.findall(r"^  (\w+)  +[A-Z]", said.out.split("Commands:")[1], re.MULTILINE)) == COMMANDS


def test_version(mirada):
    said = mirada("--version")
    assert (said.status, said.out, said.err) == (0, f"mirada {__version__}\n", "")


def test_without_a_command_the_help_is_shown(mirada):
    said = mirada()
    assert "Commands:" in said.out + said.err


@pytest.mark.parametrize("name", ["mirada.learn.train", "mirada.learn.evaluate", "mirada.model.predict"])
def test_control_c_stops_with_130(mirada, monkeypatch, tmp_path, digits_model, name):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(name, stop)
    arguments = {
        "train": ["digits", "--from", "lenet5"],
        "evaluate": [digits_model.path, "digits"],
        "predict": [digits_model.path, "some.png"],
    }
    command = name.rpartition(".")[2]
    said = mirada(command, *arguments[command])
    assert (said.status, said.out, said.err) == (130, "", "mirada: stopped\n")
    assert list(tmp_path.iterdir()) == []


def test_control_c_in_the_first_epoch_leaves_nothing_behind(mirada, monkeypatch, tmp_path):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mirada.tasks.Classify.loss", stop)
    said = mirada("train", "digits", "--from", "lenet5", "--epochs", "2")
    assert (said.status, said.out, said.err) == (130, "", "mirada: stopped\n")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_ends_it_quietly():
    """As `mirada layers resnet50 --json | head -n 1` does: the pipe is closed while there is more to say."""
    program = (
        "import sys\n"
        "from mirada.cli import main\n"
        "print('begin', flush=True)\n"
        "sys.stdin.readline()\n"  # goes on only when the reading end is closed, however fast it is
        "sys.exit(main(['layers', 'resnet50', '--json']))\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdout.readline() == b"begin\n"
        process.stdout.close()
        process.stdin.write(b"go\n")
        process.stdin.close()
        error = process.stderr.read()
        assert (process.wait(), error) == (0, b"")


def test_a_terminal_that_lacks_a_letter_gets_its_number():
    program = "import sys; from mirada.cli import main; sys.exit(main(['layers', 'alexnet', '--input', '224x224x3']))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert r"fits: input 223 or 227 \xb7 filter 12 or 8" in said.stderr
    assert "Traceback" not in said.stderr
