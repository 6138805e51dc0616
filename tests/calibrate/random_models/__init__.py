"""Random models, and a dense reference for each that shares no code with the package."""
