"""The widgets' WebSockets: from a handshake to a place in a session, and out again."""
