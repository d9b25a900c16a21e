"""The `switchboard` command: what it starts, stops, looks at and prints."""
