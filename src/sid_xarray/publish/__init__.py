"""Histories for others to read: the methods of a paper, notebooks, PROV and RO-Crate."""
