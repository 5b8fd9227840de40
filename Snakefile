# The paper's study: simulate -> fit -> aggregate -> tables and figures.
# snakemake [all | table2 | figure3 | report] --cores N [--configfile config/x.yaml]

from snakemake.utils import min_version

min_version("9.0")


# A file given with --configfile replaces the default one; Snakemake alone would merge the two.
if "studies" not in config:

    configfile: f"{workflow.basedir}/config/paper.yaml"


include: "workflow/rules/common.smk"


localrules:
    all,


rule all:
    input:
        OUTPUTS,
        SUMMARY,
        REPORT,


include: "workflow/rules/data.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/outputs.smk"


# The record of what is run, which the jobs read, is no rule's output: what reruns a job is its own
# part of the configuration, among its params.
onstart:
    LOCK = hold_run()
    check_user_files(workflow.dag)
    at_once = workflow.cores or workflow.nodes or 1
    progress.follow(
        logger,
        progress.Progress(
            DESIGN, RESULTS, jobs_to_do(workflow.dag), at_once=at_once
        ),
    )
    with atomic_path(CONFIG_FILE) as path:
        path.write_text(study.config.dump(CONFIG))


onsuccess:
    end_of_run()


onerror:
    progress.finish(logger)
