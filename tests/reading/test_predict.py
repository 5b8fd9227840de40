"""`spatgmm predict`: whatever the order and form of later maps, each value goes to its place."""

import numpy as np
import pandas as pd
import pytest

from spatgmm.cli import main

RNG = np.random.default_rng(12)
GROUPS = np.arange(40) % 2
PLACES = (np.argwhere(np.ones((3, 4))) + RNG.uniform(0, 0.3, (12, 2))).round(3)
X = (RNG.normal(size=(40, 12)) + np.where(GROUPS, 3, -3)[:, None] * (np.arange(12) < 6)).round(3)
MAPS = pd.DataFrame(X, columns=[f"p{i:02}" for i in range(12)], index=[f"m{i}" for i in range(40)])
WHERE = pd.DataFrame(PLACES, columns=["x", "y"], index=MAPS.columns)
SHUFFLED = RNG.permutation(12)
LONG = pd.DataFrame(
    {
        "map": np.repeat(MAPS.index, 12),
        **{axis: np.tile(WHERE[axis], 40) for axis in "xy"},
        "value": X.ravel(),
    }
)


@pytest.fixture
def commands(tmp_path, monkeypatch, capsys):
    """Fit and predict on tables, which become files: status, labels by name, and what was said."""
    monkeypatch.chdir(tmp_path)

    def run(command, maps, where=None, **how):
        maps.to_csv("maps.csv", **how)
        words = [command, *(["model"] if command == "predict" else []), "maps.csv"]
        if command == "fit":
            words += ["--components", "2", "--n-init", "1", "--decay", "exponential"]
        if where is not None:
            where.to_csv("where.csv", index=where.index.dtype.kind == "O")
            words += ["--coordinates", "where.csv"]
        out = "model" if command == "fit" else "predicted"
        status = main([*words, "--out", out, "--force"])
        said = capsys.readouterr().err
        if status:
            return status, said
        found = pd.read_csv(f"{out}/labels.csv").drop(columns="outlier_probability")
        return found.set_index("map").sort_index(), said

    return run


FORMS = {
    "the same": (MAPS, None, {}),
    "other order": (MAPS.iloc[:, SHUFFLED], None, {}),
    "other case and order": (MAPS.iloc[:, SHUFFLED].rename(columns=str.upper), None, {}),
    "no names, places": (MAPS.iloc[:, SHUFFLED], WHERE.iloc[SHUFFLED], {"header": False}),
    "names, places": (
        MAPS.iloc[:, SHUFFLED],
        WHERE.iloc[SHUFFLED].reset_index(drop=True),
        {},
    ),
    "numbers for names": (MAPS.set_axis(range(12), axis=1), None, {}),
    "some maps": (MAPS.iloc[5:9], None, {}),
    "long": (LONG.sample(frac=1, random_state=0), None, {"index": False}),
    "long, last digits": (LONG.assign(x=LONG["x"] + 1e-9), None, {"index": False}),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_values_go_to_their_places(commands, form):
    fitted, _ = commands("fit", MAPS, WHERE)
    maps, where, how = form
    predicted, _ = commands("predict", maps, where, **how)
    pd.testing.assert_frame_equal(predicted, fitted.loc[predicted.index], atol=1e-6)


def test_a_fit_of_a_long_table_knows_its_places(commands):
    fitted, _ = commands("fit", LONG, index=False)
    predicted, _ = commands("predict", MAPS, WHERE)
    pd.testing.assert_frame_equal(predicted, fitted, atol=1e-6)
    status, said = commands("predict", MAPS)
    assert status == 2
    assert "other names than those of the fit" in said and "--coordinates" in said
    _, said = commands("predict", MAPS, header=False)
    assert "names no places; its values are taken in the order of the fit" in said


REFUSED = {
    "elsewhere": (MAPS, WHERE + 100, "its locations are not those of the fit"),
    "fewer": (MAPS.iloc[:, :8], None, "12 locations but X has 8"),
    "renamed": (MAPS.rename(columns={"p03": "q"}), None, "has no place 'p03', which maps of the"),
    "swapped axes": (LONG.rename(columns={"x": "y", "y": "x"}), None, "are not those of the fit"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_other_places_are_refused(commands, case):
    maps, where, complaint = case
    commands("fit", MAPS, WHERE)
    status, said = commands("predict", maps, where, index="map" not in maps)
    assert status in (1, 2)
    assert complaint in said.splitlines()[-1]


def test_a_grid_upside_down(commands, tmp_path, monkeypatch):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    axes = {"map": MAPS.index.to_numpy(str), "y": [1.0, 2, 3], "x": [0.0, 1, 2, 3]}
    stack = xarray.DataArray(X.reshape(40, 3, 4), dims=tuple(axes), coords=axes, name="v")
    labels = {}
    for name, one in {
        "up": stack,
        "down": stack[:, ::-1],
        "on its side": stack.transpose("map", "x", "y"),
    }.items():
        one.to_netcdf(tmp_path / "s.nc")
        words = ["predict", "model"] if labels else ["fit"]
        words += ["s.nc", "--out", "predicted" if labels else "model", "--force"]
        words += [] if labels else ["--components", "2", "--n-init", "1", "--decay", "exponential"]
        assert main(words) == 0
        labels[name] = pd.read_csv(f"{words[words.index('--out') + 1]}/labels.csv")
    for name in ("down", "on its side"):
        pd.testing.assert_frame_equal(labels[name], labels["up"], atol=1e-6)
