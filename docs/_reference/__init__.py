"""A page per public object: what it is called, an example that is executed, its docstring."""
