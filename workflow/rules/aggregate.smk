# Every fit of the study in one table, one row each.


localrules:
    aggregate,


rule aggregate:
    input:
        BATCHES,
    output:
        FITS,
    log:
        f"{RESULTS}/logs/aggregate.log",
    conda:
        "../../envs/python.yaml"
    params:
        config=CONFIG_FILE,
        code=code_of("spatgmm.study.aggregate"),
    shell:
        "python -m spatgmm study aggregate --config {params.config} 2> {log}"
