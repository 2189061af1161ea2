"""An executor inside another application, which tells it of the start and the stop."""

from app import executor
from starlette.applications import Starlette
from starlette.routing import Mount

application = Starlette(routes=[Mount("/agents", executor)], lifespan=executor.lifespan)
