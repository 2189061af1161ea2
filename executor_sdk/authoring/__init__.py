"""What an author touches: the task, injected dependencies, handlers with their schemas, and verdicts."""
