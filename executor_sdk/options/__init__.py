"""Options as people write them, in Python and in an environment, and what is said of those that do not fit."""
