"""What a request brings: a JSON object, and the id in its path."""

import json
from typing import Annotated, Any

from fastapi import Depends, Path, Request

from cekura_sandbox.filters import is_object
from cekura_sandbox.refusals import Invalid

Body = dict[str, Any]


async def _body(request: Request) -> Body:
    try:
        parsed: Any = json.loads(await request.body() or b"{}")
    except ValueError:
        raise Invalid({"detail": "JSON parse error."}) from None
    if not is_object(parsed):
        raise Invalid({"non_field_errors": ["Invalid data. Expected a dictionary."]})
    return parsed


JsonBody = Annotated[Body, Depends(_body)]
Number = Annotated[int, Path(alias="id", ge=1, le=2**31 - 1)]
