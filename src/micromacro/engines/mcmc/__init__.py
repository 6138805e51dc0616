"""Exact MCMC."""
