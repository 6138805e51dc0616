"""Results: what a fit can be asked."""
