# Every fit of the study in one table, one row each.


localrules:
    aggregate,


rule aggregate:
    input:
        BATCHES,
        config=ancient(CONFIG_FILE),
    output:
        FITS,
    log:
        f"{RESULTS}/logs/aggregate.log",
    conda:
        "../../envs/python.yaml"
    params:
        code=code_of("spatgmm.study.aggregate"),
    shell:
        "python -m spatgmm study aggregate --config {input.config} 2> {log}"
