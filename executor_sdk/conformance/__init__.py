"""The conformance suite: what any executor, in any language, must do over HTTP, asked of it and reported."""
