"""SQLite for both houses: statements by name, one writer thread with group commit, and who is alive beside a file."""
