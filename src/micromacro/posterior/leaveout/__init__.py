"""Log-likelihoods of groups that are left out."""
