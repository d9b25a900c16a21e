"""What a browser fetches: pages, their files, and agents' pictures."""
