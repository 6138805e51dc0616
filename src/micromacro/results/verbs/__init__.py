"""What a fit can be asked: one file per group of verbs."""
