"""What tests use: an executor without sockets, and a real server on an ephemeral port."""
