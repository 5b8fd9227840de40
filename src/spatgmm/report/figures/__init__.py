"""The study's figures: ``names()``, ``missing(name, config)``, ``module(name)``, ``write``.

Each figure is one module with ``caption(results)``, ``draw(results)`` and ``finding(results)``, and
one line here; with it comes the plotting library.  ``write(name, config, results_dir)`` leaves
``<results_dir>/figures/<name>.pdf`` and ``.png``.
"""

from __future__ import annotations

from spatgmm.report.registry import Registry
from spatgmm.study import needs


def _save(name, module, results, directory):
    from spatgmm.report.figures import style

    style.apply()
    return style.save(module.draw(results), name, directory)


_registry = Registry(
    "figure",
    __name__,
    {
        "figure1": ("example_maps", needs.scenarios),
        "figure2": ("decay_curves", needs.scenarios),
        "figure3": ("ari", needs.study("comparison")),
        "figure4": ("covariances", needs.grid_scenario),
        "figure5": ("recovery", needs.study("recovery")),
        "figure6": ("real_data", needs.datasets()),
        "figure7": ("stability", needs.study("stability")),
        "figure8": ("run_time", needs.study("comparison")),
        "figure9": ("coordinates", needs.study("coordinates")),
        "figure10": ("sweep_heat", needs.study("sweep")),
        "figure11": ("sweep_lines", needs.study("sweep")),
    },
    _save,
)

names, missing, module, write = (
    _registry.names,
    _registry.missing,
    _registry.module,
    _registry.write,
)
