"""Tests of the latent Gaussian system."""
