"""Plain requests: what brands' backends, widgets and operators may ask over HTTP."""
