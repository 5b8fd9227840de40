"""System packages: nothing is asked for that is there, and what is missing is named in one line."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "system-packages.sh"


@pytest.fixture
def machine(tmp_path):
    """Run the script on a machine that has these programs and no others."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("env", "cat"):
        (programs / name).symlink_to(f"/usr/bin/{name}")

    def run(user="1000", browser="", **outputs):
        outputs = {"id": f"echo {user}", "python3": "exit 0", **outputs}
        for name, body in outputs.items():
            path = programs / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{body}\n")
            path.chmod(0o755)
        environment = {
            "PATH": str(programs),
            "VENV": str(tmp_path / "venv"),
            "WITH_BROWSER": browser,
        }
        return subprocess.run(
            ["/bin/sh", SCRIPT],
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    return run


def records(tmp_path):
    log = tmp_path / "apt.log"
    return f'echo "$*" >> {log}', lambda: log.read_text().splitlines() if log.exists() else []


def test_nothing_is_asked_for_where_all_is_there(machine, tmp_path):
    apt_get, calls = records(tmp_path)
    done = machine(user="0", Rscript="exit 0", apt_get=apt_get)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert calls() == []


def test_tests_ask_for_a_browser_too(machine, tmp_path):
    apt_get, calls = records(tmp_path)
    there = {"Rscript": "exit 0", "apt_get": apt_get}
    assert machine(user="0", browser="1", chromium="exit 0", **there).returncode == 0
    assert calls() == []
    (tmp_path / "bin" / "chromium").unlink()
    assert machine(user="0", browser="1", **there).returncode == 0
    assert calls() == ["update -qq", "install -y -qq --no-install-recommends chromium"]


def test_without_root_and_sudo_one_line_names_the_packages(machine, tmp_path):
    apt_get, calls = records(tmp_path)
    done = machine(python3="exit 1", apt_get=apt_get)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("make again: python3-venv r-base-core r-cran-mclust r-cran-fields")
    assert calls() == []


def test_without_apt_one_line_names_the_packages(machine):
    done = machine(user="0", Rscript="echo 'r-cran-fields '")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("make again: r-cran-fields")


def test_root_installs_only_what_is_missing(machine, tmp_path):
    apt_get, calls = records(tmp_path)
    done = machine(user="0", Rscript="echo 'r-cran-mclust '", apt_get=apt_get)
    assert done.returncode == 0, done.stderr
    assert calls() == ["update -qq", "install -y -qq --no-install-recommends r-cran-mclust"]


def test_sudo_is_used_where_it_asks_for_no_password(machine, tmp_path):
    apt_get, calls = records(tmp_path)
    sudo = f'echo "sudo $*" >> {tmp_path}/sudo.log; [ "$1" = -n ] && shift; "$@"'
    done = machine(apt_get=apt_get, sudo=sudo, true="exit 0")
    assert done.returncode == 0, done.stderr
    assert calls()[-1].endswith("r-base-core r-cran-mclust r-cran-fields")
    assert len((tmp_path / "sudo.log").read_text().splitlines()) == 3


def test_an_installation_that_fails_names_the_packages(machine):
    done = machine(user="0", apt_get="exit 100")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("r-base-core r-cran-mclust r-cran-fields")


def test_this_machine_has_what_the_script_asks_for():
    if os.environ.get("SPATGMM_REQUIRE_R") != "1":
        pytest.skip("only where R must be there")
    done = subprocess.run(["/bin/sh", SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
