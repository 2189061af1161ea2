"""What `executor dev` is made of: a process that is started again, its traffic, and what is printed of it all."""
