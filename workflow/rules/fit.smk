# Jobs of fits: each is a rule of its own, with the batches of one method that fill a job. Simulated
# maps are drawn in the job.
# What a job needs stands with its rule, so that every scheduler is asked for the same. A run without
# one ignores it.

for name, job in JOBS.items():

    rule:
        name:
            name
        input:
            real_data(job),
        output:
            # Not deleted before a rerun, which takes over the rows that are still valid.
            update([str(design.fits_path(RESULTS, batch)) for batch in job]),
        log:
            f"{RESULTS}/logs/fits/{job[0]}.log",
        benchmark:
            f"{RESULTS}/benchmarks/{job[0]}.tsv"
        # The longest first, so that no core waits for one at the end.
        priority: LENGTHS[job]
        conda:
            environment(job)
        threads: 1
        resources:
            mem_mb=lambda wildcards, attempt: 2000 * attempt,
            runtime=lambda wildcards, attempt: 60 * attempt,
        params:
            config=CONFIG_FILE,
            batches=[str(batch) for batch in job],
            settings=fit_settings(job),
            code=provenance.fit_code(method_of(job).plugin),
            time_limit=method_of(job).time_limit,
            again=[again.times(RESULTS, batch) for batch in job],
        shell:
            "python -m spatgmm study fit --config {params.config} --batches {params.batches} 2> {log}"

    # As a module's, the rule has the name that its user gives it.
    ours = workflow.get_rule(workflow.modifier.modify_rulename(name))
    ours.resources.update(limits_asked_for())
