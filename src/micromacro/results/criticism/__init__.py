"""Checking a fit: leave-one-out, cross-validation, predictive checks, sensitivity to the priors."""
