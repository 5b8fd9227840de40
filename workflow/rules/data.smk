# The maps of every data set, and what every case is. Simulated maps are drawn where they are needed.


localrules:
    design,


rule data:
    input:
        user_files,
    output:
        f"{RESULTS}/data/{{case}}.npz",
    log:
        f"{RESULTS}/logs/data/{{case}}.log",
    # Before the fits that wait for nothing: some fits of real data are the longest of all.
    priority: 1
    conda:
        "../../envs/r.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        config=CONFIG_FILE,
        settings=data_settings,
        code=data_code,
    shell:
        "python -m spatgmm study data --config {params.config} --case {wildcards.case} 2> {log}"


rule design:
    input:
        DATA,
    output:
        DESIGN_TABLE,
    log:
        f"{RESULTS}/logs/design.log",
    conda:
        "../../envs/python.yaml"
    params:
        config=CONFIG_FILE,
        studies=json.dumps(CONFIG["studies"]),
        code=code_of("spatgmm.study.aggregate"),
    shell:
        "python -m spatgmm study design --config {params.config} 2> {log}"
