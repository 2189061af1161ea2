"""The way in over HTTP: the endpoints as plain ASGI, with bounds on what comes and an eye on who hangs up."""
