"""Member blocks: weights, their normalisation, and the aggregated members as a part of the latent system."""
