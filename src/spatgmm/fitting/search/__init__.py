"""Where EM starts: a global search that costs next to nothing beside the finish."""
