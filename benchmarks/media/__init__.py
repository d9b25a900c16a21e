"""Media by hand: peers that send and receive RTP like browsers, cheaply and on time.

The same peers load Switchboard and Janus, so that both see the same packets.
"""
