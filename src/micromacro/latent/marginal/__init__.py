"""The marginal likelihood of theta: the effects (and coefficients) integrated out."""
