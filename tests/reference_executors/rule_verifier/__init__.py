"""The verifier whose rules are data."""
