"""The command line's frame: help, lazy commands, `methods` and `datasets`."""

import subprocess
import sys

import pytest
import yaml

from spatgmm import datasets, methods
from spatgmm.cli import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"spatgmm {command}" in capsys.readouterr().out


def test_help_imports_no_science():
    program = (
        "import sys\nfrom spatgmm.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def test_an_unknown_command_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["fti"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert all(command in said for command in COMMANDS)


def test_methods_lists_all_with_what_keeps_them_from_running(capsys, monkeypatch):
    monkeypatch.setattr("spatgmm.common.r.missing", lambda packages: "no R" if packages else None)
    assert main(["methods"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(methods.names()) <= set(lines)
    assert "cannot run: no R" in lines["mclust"]
    assert lines["kmeans"].endswith("ready")
    assert lines["truth"].endswith("ready")


def test_datasets_lists_all_with_their_settings(capsys, monkeypatch):
    monkeypatch.setattr("spatgmm.datasets.climate.missing", lambda **settings: "no fields")
    assert main(["datasets"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in datasets.names())
    assert "cannot be loaded: no fields" in out
    assert "centred = False" in out


def test_methods_tell_their_parameters_with_defaults_and_choices(capsys):
    assert main(["methods", "spatgmm", "kmeans"]) == 0
    out = capsys.readouterr().out
    assert "decay = 'sigmoid': how covariance falls with distance; one of 'sigmoid', " in out
    assert "n_init = 10: number of random starts; an integer of at least 1" in out
    assert "pgmm" not in out
    assert main(["methods", "--parameters"]) == 0
    out = capsys.readouterr().out
    for name in methods.names():
        for parameter, declared in methods.get(name).declared.items():
            assert f"    {parameter} = {declared.default!r}: {declared.text}" in out
    assert main(["methods"]) == 0
    assert "n_init" not in capsys.readouterr().out


def test_an_unknown_method_is_refused(capsys):
    assert main(["methods", "kmens"]) != 0
    assert "unknown method 'kmens'" in capsys.readouterr().err


def test_a_configuration_is_checked_without_a_run(tmp_path, capsys, tiny):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(tiny))
    assert main(["study", "check", "--config", str(path)]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    tiny["methods"]["kmeans-once"]["n_init"] = 0
    path.write_text(yaml.safe_dump(tiny))
    assert main(["study", "check", "--config", str(path)]) != 0
    assert "methods.kmeans-once.n_init: must be an integer" in capsys.readouterr().err
    path.write_text("name: [a\n")
    assert main(["study", "check", "--config", str(path)]) != 0
    assert "line 2" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "studies: [1\n", "name: x\n", "!!python/name:os.system x"])
def test_a_wrong_configuration_is_wrong_usage(tmp_path, monkeypatch, capsys, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.yaml").write_text(content)
    for name in ("wrong.yaml", "absent.yaml"):
        assert main(["study", "check", "--config", name]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"spatgmm study: {name}: ") and "Traceback" not in said


@pytest.mark.parametrize("replicates", ["x", "5-2", "-1", "1-2-3", "1.5"])
def test_replicates_that_are_no_range_are_wrong_usage(capsys, replicates):
    of_case = ["--config", "any.yaml", "--case", "a", "--method", "b"]
    assert main(["study", "fit", *of_case, f"--replicates={replicates}"]) == 2
    assert "is neither a number nor a range such as 0-9" in capsys.readouterr().err
