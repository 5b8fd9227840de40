# Tables, figures, the summary and the report. Each table and figure is a rule of its name, since a
# caption belongs to one.


localrules:
    summary,
    report,


for name in TABLES:

    rule:
        name:
            name
        input:
            FITS,
            DESIGN_TABLE,
            DATA,
        output:
            report(
                f"{RESULTS}/tables/{name}.csv",
                caption=f"../report/{name}.rst",
                category="Tables",
                labels={"table": name},
            ),
            f"{RESULTS}/tables/{name}.tex",
            f"{RESULTS}/tables/{name}.md",
        log:
            f"{RESULTS}/logs/tables/{name}.log",
        localrule: True
        conda:
            "../../envs/python.yaml"
        params:
            config=CONFIG_FILE,
            name=name,
            study=json.dumps(CONFIG),
            code=code_of("spatgmm.report.tables"),
        shell:
            "python -m spatgmm study table --config {params.config} {params.name} 2> {log}"


for name in FIGURES:

    rule:
        name:
            name
        input:
            FITS,
            DESIGN_TABLE,
            DATA,
        output:
            report(
                f"{RESULTS}/figures/{name}.png",
                caption=f"../report/{name}.rst",
                category="Figures",
                labels={"figure": name},
            ),
            f"{RESULTS}/figures/{name}.pdf",
        log:
            f"{RESULTS}/logs/figures/{name}.log",
        localrule: True
        conda:
            "../../envs/python.yaml"
        params:
            config=CONFIG_FILE,
            name=name,
            study=json.dumps(CONFIG),
            code=code_of("spatgmm.report.figures"),
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
        snakefile=f"{workflow.basedir}/Snakefile",
    shell:
        "snakemake --snakefile {params.snakefile} --configfile {params.config} --nolock"
        " --report {output} all 2> {log}"
