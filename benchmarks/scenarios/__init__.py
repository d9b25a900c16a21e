"""The scenarios, one file each: what is started, measured and compared."""
