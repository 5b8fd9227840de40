"""How a mixture is fitted to maps: EM, its solvers, the search for starts, standard errors."""
