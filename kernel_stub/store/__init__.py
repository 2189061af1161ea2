"""What the kernel keeps: one port, `change(key, think)`, and the adapter behind it."""
