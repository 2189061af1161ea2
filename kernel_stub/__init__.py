"""A small coordination kernel with the real one's HTTP API and commands; it needs `executor-sdk[kernel]`."""

from importlib.util import find_spec

_MISSING = [name for name in ("aiohttp", "nacl") if find_spec(name) is None]

if _MISSING:
    raise ImportError(
        f"kernel_stub needs the extra `kernel` ({', '.join(_MISSING)}): pip install 'executor-sdk[kernel]'",
        name=_MISSING[0],
    )
