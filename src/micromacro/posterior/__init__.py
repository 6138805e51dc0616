"""What a fit knows, as arrays: from draws or from a maximum. No labels, no pandas."""
