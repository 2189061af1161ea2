"""A test stands in for the service: the request arrives with the reference in the place of the token."""

import httpx2
import pytest
from web import executor

from executor_sdk import Refuse, in_process


def crm(request: httpx2.Request) -> httpx2.Response:
    assert request.headers["authorization"] == "Bearer <env:CRM_TOKEN>"
    if request.url.params["name"] == "ada":
        return httpx2.Response(200, json={"standing": "good"})
    return httpx2.Response(404)


def test_the_standing_is_what_the_service_says() -> None:
    with in_process(executor, http=crm) as rt:
        assert rt.execute({"customer": "ada"}).output.answer == "good"
        with pytest.raises(Refuse, match="not in the CRM"):
            rt.execute({"customer": "bob"})
