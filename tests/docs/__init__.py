"""The pages of docs/: their examples run, their commands work, and the site that is built of them has no dead link."""
