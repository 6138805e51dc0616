"""Tables with labels."""
