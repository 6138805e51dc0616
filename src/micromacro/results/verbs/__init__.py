"""The methods of a fit: one file per group of verbs."""
