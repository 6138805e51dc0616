"""Fits at the ends of what floating point holds."""
