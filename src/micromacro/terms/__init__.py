"""Terms of the linear predictor: fixed covariates, units, member blocks. Each fills its entries of A."""
