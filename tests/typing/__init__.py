"""What a type checker says of the face; checked, never run."""
