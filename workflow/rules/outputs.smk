# Tables, figures, the summary and the report. Each table and figure is a rule of its name; its
# caption is one of its params.


localrules:
    summary,
    report,


for asked in TABLES:

    rule:
        name:
            asked.name
        input:
            FITS,
            DESIGN_TABLE,
            DATA,
        output:
            report(
                f"{RESULTS}/tables/{asked.name}.csv",
                caption="../report/caption.rst",
                category="Tables",
                labels={"table": asked.label, "shows": asked.output.title},
            ),
            f"{RESULTS}/tables/{asked.name}.tex",
            f"{RESULTS}/tables/{asked.name}.md",
        log:
            f"{RESULTS}/logs/tables/{asked.name}.log",
        localrule: True
        conda:
            "../../envs/python.yaml"
        params:
            config=CONFIG_FILE,
            name=asked.name,
            caption=asked.caption,
            study=json.dumps(CONFIG),
            code=code_of("spatgmm.report.registry", asked.output.code),
        shell:
            "python -m spatgmm study table --config {params.config} {params.name} 2> {log}"


for asked in FIGURES:

    rule:
        name:
            asked.name
        input:
            FITS,
            DESIGN_TABLE,
            DATA,
        output:
            report(
                f"{RESULTS}/figures/{asked.name}.png",
                caption="../report/caption.rst",
                category="Figures",
                labels={"figure": asked.label, "shows": asked.output.title},
            ),
            f"{RESULTS}/figures/{asked.name}.pdf",
        log:
            f"{RESULTS}/logs/figures/{asked.name}.log",
        localrule: True
        conda:
            "../../envs/python.yaml"
        params:
            config=CONFIG_FILE,
            name=asked.name,
            caption=asked.caption,
            study=json.dumps(CONFIG),
            code=code_of("spatgmm.report.registry", asked.output.code),
        shell:
            "python -m spatgmm study figure --config {params.config} {params.name} 2> {log}"


rule summary:
    input:
        OUTPUTS,
        FITS,
        DESIGN_TABLE,
    output:
        SUMMARY,
    log:
        f"{RESULTS}/logs/summary.log",
    conda:
        "../../envs/python.yaml"
    params:
        config=CONFIG_FILE,
        study=json.dumps(CONFIG),
        code=code_of("spatgmm.report.summary"),
    shell:
        "python -m spatgmm study summary --config {params.config} 2> {log}"


# Snakemake's own report on the finished study, which only Snakemake itself can write.
rule report:
    input:
        OUTPUTS,
        SUMMARY,
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/report.log",
    conda:
        "../../envs/report.yaml"
    params:
        config=CONFIG_FILE,
        snakefile=str(ROOT / "Snakefile"),
    shell:
        "snakemake --snakefile {params.snakefile} --configfile {params.config} --nolock"
        " --report {output} all 2> {log}"
