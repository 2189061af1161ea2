"""The event log: who signs, in which bytes an event is signed, and how a log is verified and replayed."""
