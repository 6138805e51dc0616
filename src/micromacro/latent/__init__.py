"""The latent Gaussian system: eta = A(theta) x + offset(theta), x | theta ~ N(m0, D^-1)."""
