"""The formula language: text to syntax tree and back. Pure text; nothing is evaluated here."""
