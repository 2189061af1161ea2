"""A hand-written executor as it may stand today, with its hidden faults: do not copy it; `after.py` is the same mended.

Run `uvicorn examples.migrating.before:app`.
"""

import asyncio
import hashlib
import json
import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

BOOKINGS = Path(os.environ.get("BOOKINGS", "bookings.txt"))
IDENTITY = {"provider_family": "acme", "model_id": "couriers-1"}

slots = asyncio.Semaphore(4)


async def health(request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def capabilities(request: Request) -> JSONResponse:
    return JSONResponse({"task_types": ["book"], "profiles": ["default"], **IDENTITY})


async def execute(request: Request) -> JSONResponse:
    body = await request.json()  # of any size
    if slots.locked():
        return JSONResponse({"error": "busy"}, status_code=429)  # a kernel never asks again after a 4xx
    async with slots:
        courier = await asyncio.to_thread(book, body["inputs"])  # once for each copy of the call
    return JSONResponse(
        {
            "candidate_output": {"decision": "BOOKED", "answer": courier},
            "evidence_inline": [{"mime": "text/plain", "content": f"{courier} takes it"}],
            "evidence_refs": [],
        }
    )


def book(parcel: dict[str, str | float]) -> str:
    kg = float(parcel["kg"])  # what is missing is a 500, which a kernel tries again in vain
    if kg > 30:
        raise ValueError("no courier takes more than 30 kg")  # the same
    courier = "bicycle" if kg <= 5 else "van"
    with BOOKINGS.open("a", encoding="utf-8") as bookings:
        bookings.write(f"{parcel['order']} {courier}\n")
    return courier


async def verify(request: Request) -> JSONResponse:
    body = await request.json()
    passed = "answer" in body["candidate"]["output"]  # the schema and the policy that were sent are not looked at
    verdict = {"passed": passed, "score": 1.0 if passed else 0.0, "reason_codes": [100 if passed else 101]}
    signed = {
        "candidate_id": body["candidate"]["candidate_id"],
        "execution_id": body["candidate"]["execution_id"],
        "policy_hash": body["policy"]["policy_hash"],
        **verdict,
        **IDENTITY,
    }
    digest = hashlib.sha256(json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    status = "passed" if passed else "failed"
    return JSONResponse({**verdict, "verification_status": status, "verifier_result_hash": digest, **IDENTITY})


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/capabilities", capabilities),
        Route("/execute", execute, methods=["POST"]),
        Route("/verify", verify, methods=["POST"]),
    ]
)
