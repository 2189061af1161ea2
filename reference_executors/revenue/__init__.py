"""What the analyst computes: pure functions over sales lines, with nothing of the kit in them."""
