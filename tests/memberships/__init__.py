"""Tests of memberships from other shapes of tables."""
