# The paper's study: simulate -> fit -> aggregate -> tables and figures.
# snakemake [all | table2 | figure3 | report] --cores N [--configfile config/x.yaml]

from snakemake.utils import min_version

min_version("9.0")


# A file given with --configfile replaces the default one; Snakemake alone would merge the two.
if "studies" not in config:

    configfile: workflow.source_path("config/paper.yaml")


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


# Of a workflow that uses this one as a module, Snakemake runs the handlers of that workflow alone; so
# the run begins here, unless nothing is to run.
if not workflow.modifier.is_main_snakefile():
    if workflow.is_main_process and not workflow.output_settings.dryrun:
        LOCK = begin_run()


onstart:
    LOCK = begin_run()
    check_user_files(workflow.dag)
    # Elsewhere there are nodes; asking for the cores that nobody gave would be an error.
    at_once = workflow.resource_settings.nodes or workflow.resource_settings.cores
    progress.follow(
        logger,
        progress.Progress(
            DESIGN, RESULTS, jobs_to_do(workflow.dag), at_once=at_once
        ),
    )


onsuccess:
    end_of_run()


onerror:
    progress.finish(logger)
