"""Models: formula and tables to terms to the latent system."""
