"""Each example does what it says, alone and behind a kernel."""
