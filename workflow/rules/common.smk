# What the rules share: the design of the configured study and where its files are.

import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Jobs run the package that lies beside the workflow, in whatever environment they have; where the
# workflow alone was fetched, as a module from a host, the environment must hold the package.
ROOT = Path(str(workflow.current_basedir)).parents[1]
if (ROOT / "src").is_dir():
    sys.path.insert(0, str(ROOT / "src"))
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ.update(PYTHONPATH=os.pathsep.join(paths))

from spatgmm import study
from spatgmm.common.files import atomic_path
from spatgmm.study import again, cases, design, locks, outputs, progress, provenance
from spatgmm.study import remaining

if workflow.modifier.path_modifier.prefix:
    raise WorkflowError(
        "results are in results/<name>: leave out `prefix` where this workflow is used as a module"
    )

try:
    CONFIG, DESIGN = study.prepare(
        config,
        source=" + ".join(map(str, workflow.configfiles)) or "configuration",
        values=workflow.is_main_process,
        files=workflow.configfiles,
    )
except study.ConfigError as error:
    raise WorkflowError(str(error)) from None

RESULTS = Path("results") / DESIGN.name
CONFIG_FILE = f"{RESULTS}/config.yaml"
FITS = f"{RESULTS}/fits.parquet"
DESIGN_TABLE = f"{RESULTS}/design.csv"
SUMMARY = f"{RESULTS}/summary.md"
REPORT = f"{RESULTS}/report.html"
DATA = [
    str(cases.data_path(RESULTS, case.id))
    for case in DESIGN.cases.values()
    if not case.simulated
]
BATCHES = [str(design.fits_path(RESULTS, batch)) for batch in DESIGN.batches()]
JOBS = {f"fit-{number}": job for number, job in enumerate(DESIGN.jobs(), 1)}
LENGTHS = remaining.Remaining(DESIGN, JOBS.values()).lengths()


wildcard_constraints:
    case="[a-z0-9-]+",


TABLES, FIGURES = (
    [asked for asked in outputs.asked(CONFIG) if asked.output.kind == kind]
    for kind in outputs.KINDS
)
OUTPUTS = [
    *(f"{RESULTS}/tables/{asked.name}.csv" for asked in TABLES),
    *(f"{RESULTS}/figures/{asked.name}.png" for asked in FIGURES),
]


def user_files(wildcards):
    """Files of the user's that a data set's settings name."""
    settings = DESIGN.cases[wildcards.case].settings.values()
    return [
        value for value in settings if isinstance(value, str) and os.path.isfile(value)
    ]


def real_data(job):
    """The files that a job reads maps from; those of a scenario are drawn."""
    cases_of_job = {batch.case: DESIGN.cases[batch.case] for batch in job}
    return [
        str(cases.data_path(RESULTS, id))
        for id, case in cases_of_job.items()
        if not case.simulated
    ]


def data_settings(wildcards):
    return DESIGN.data_settings(wildcards.case)


def data_code(wildcards):
    return provenance.data_code(DESIGN.cases[wildcards.case].settings["load"])


def fit_settings(job):
    return [DESIGN.fit_settings(batch.case, batch.method) for batch in job]


def method_of(job):
    """One of the variants of a method that a job fits: they share code and time limit."""
    return DESIGN.methods[job[0].method]


def code_of(*modules):
    """The hash of the code of modules, for those jobs that are asked for."""
    return lambda wildcards: provenance.code_hash(*modules)


def environment(job):
    """R comes with the environment of those methods only that need it."""
    uses_r = provenance.requires_r(method_of(job).plugin)
    return "../../envs/r.yaml" if uses_r else "../../envs/python.yaml"


def limits_asked_for():
    """What --set-resources says of "fit", which stands for every job of fits."""
    return workflow.resource_settings.overwrite_resources.get("fit", {})


def jobs_to_do(dag):
    """What this run has to fit, by job id."""
    return {
        job.jobid: JOBS[job.rule.name]
        for job in dag.needrun_jobs()
        if job.rule.name in JOBS
    }


def check_user_files(dag):
    """A user's file that cannot be read ends the run before any job starts."""
    from spatgmm.study import loading

    for job in dag.needrun_jobs():
        if job.rule.name == "data" and user_files(job.wildcards):
            try:
                loading.load(DESIGN.cases[job.wildcards.case])
            except ValueError as error:
                raise WorkflowError(str(error)) from None


def end_of_run():
    """Say how the fits ended; that some were disturbed is an error, though all outputs are made."""
    trouble = progress.finish(logger)
    if trouble:
        raise WorkflowError(trouble)


def begin_run():
    """Keep other runs out of the results folder until this process ends, however it does.

    The record of what is run, which the jobs read, is no rule's output: what reruns a job is its own
    part of the configuration, among its params.
    """
    try:
        held = locks.hold(RESULTS / ".lock")
    except BlockingIOError:
        raise WorkflowError(
            f"another run is at work in {RESULTS}; wait for it"
        ) from None
    with atomic_path(CONFIG_FILE) as path:
        path.write_text(study.config.dump(CONFIG))
    return held
