"""Tables: columns out of any data frame, levels of ids, and memberships in one canonical order."""
