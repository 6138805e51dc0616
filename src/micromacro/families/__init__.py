"""Outcome families: what distribution the outcome has around the linear predictor."""
