"""The least that any design must do: what is measured against is made of these."""
