"""Kinds of effects: the distribution of the effects of members and units, one file per kind.

Effects are standardised: an effect is a known function of theta times entries of x, so an sd multiplies entries of A
and an sd of zero is an ordinary point. :mod:`.base` says what a kind must offer, :mod:`.registry` lists the kinds.
"""
