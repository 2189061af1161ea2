"""How a candidate is judged: the built-in verification policies and the rules of the kernel, as pure functions."""
