"""Maximum likelihood and restricted maximum likelihood."""
