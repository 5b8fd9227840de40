"""The study's figures: a module each, with ``build(results, *studies)``, and how they look."""
