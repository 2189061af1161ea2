"""Serving an ASGI application over sockets within bounds, for both houses and for tests."""
