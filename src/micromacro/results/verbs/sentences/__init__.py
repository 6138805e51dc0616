"""Sentences about estimates: of coefficients, of effects, of weights, of the family's own parameters."""
