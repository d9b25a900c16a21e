"""Measurements of Switchboard that compare it with floors and peers in the same run.

Owns load, sampling, statistics and reports. Knows the product from outside only: its addresses and
its wire. Nothing that runs in production may import it.
"""
