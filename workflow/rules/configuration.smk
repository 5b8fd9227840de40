# The record of what is run, which all jobs read. A new one reruns no job (`ancient`): what does is a
# job's own part of the configuration, among its params.


rule configuration:
    input:
        workflow.source_path("../templates/config.yaml.jinja"),
    output:
        CONFIG_FILE,
    log:
        f"{RESULTS}/logs/configuration.log",
    params:
        text=study.config.dump(CONFIG),
    template_engine:
        "jinja2"
