"""What a subscriber's line carries, and what of it each picture is given.

Pure: what is known goes in, with the time, and what follows comes out; others act on it. Imports
nothing else of the relay.
"""
