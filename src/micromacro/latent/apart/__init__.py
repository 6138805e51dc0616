"""A latent system whose rows lie apart from it: in pieces, each wherever a crew keeps it."""
