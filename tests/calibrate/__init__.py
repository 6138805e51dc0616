"""Long tests of the engines: against references written apart, and by simulation."""
