"""Simulated data: from a model, and coalition-like data with known truth."""
