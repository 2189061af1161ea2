"""A verifier whose rules are data: a JSON file says what must hold, and which reason code it means when it does not."""
