"""Engines: maximum likelihood, restricted maximum likelihood, exact MCMC."""
