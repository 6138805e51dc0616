"""Published and classical models fitted again: ``make replicate`` runs all, ``python -m replications.boston`` one."""
