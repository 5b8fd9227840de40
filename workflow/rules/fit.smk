# One job: one case, one method, a batch of replicates. Simulated maps are drawn in the job.
# What a job needs stands with its rule, so that every scheduler is asked for the same. A run without
# one ignores it.


rule fit:
    input:
        real_data,
    output:
        # Not deleted before a rerun, which takes over the rows that are still valid.
        update(f"{RESULTS}/fits/{{case}}/{{method}}/{{first}}-{{last}}.parquet"),
    log:
        f"{RESULTS}/logs/fits/{{case}}/{{method}}/{{first}}-{{last}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{case}}/{{method}}/{{first}}-{{last}}.tsv"
    conda:
        environment
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        config=CONFIG_FILE,
        settings=fit_settings,
        code=fit_code,
        time_limit=time_limit,
        again=times_again,
    shell:
        "python -m spatgmm study fit --config {params.config} --case {wildcards.case}"
        " --method {wildcards.method} --replicates {wildcards.first}-{wildcards.last} 2> {log}"
