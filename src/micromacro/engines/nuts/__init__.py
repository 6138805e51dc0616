"""Plain NUTS on the joint density: the slow, independent oracle."""
