"""What a load process does to a server: open connections, then rounds on command."""
