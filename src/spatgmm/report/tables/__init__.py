"""The study's tables: a module each, with ``build(results, *studies)``."""
