# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenAPI document of the JSON interface, made from the declared routes.

Source: OpenAPI Specification 3.1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import raspy
from raspyweb.accounts import SCOPES
from raspyweb.app.api.declare import Route
from raspyweb.app.api.schemas import SCHEMAS, ref

PREFIX = "/api/v1"

_INTRODUCTION = (
    "Values, devices, automation and history of RasPy for programs. Make a token on the dashboard's page"
    " Account, and send it with each request: `Authorization: Bearer raspy_...`. A token's scope is read,"
    " steer (commands, start and stop too) or admin (everything), and it never may"
    " more than the user who made it."
    " What is wrong stands in `error`. Unknown parameters are refused."
)


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The document.

    Args:
        routes: all that there are.
    """
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "RasPy",
            "version": raspy.__version__,
            "description": _INTRODUCTION,
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": SCHEMAS,
            "responses": {
                "Error": {
                    "description": "It could not be done; `error` says why.",
                    "content": {"application/json": {"schema": ref("Error")}},
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    scope = next(scope for scope, role in SCOPES.items() if role == route.role)
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.info,
        "description": f"Needs the scope {scope}.",
        "x-scope": scope,
        "parameters": [
            {
                "name": parameter.name,
                "in": parameter.where,
                "description": parameter.info,
                "required": parameter.required,
                "schema": parameter.schema(),
            }
            for parameter in (*route.of("path"), *route.of("query"))
        ],
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": route.answer}}},
            "default": {"$ref": "#/components/responses/Error"},
        },
    }
    body = route.of("body")
    if body:
        schema = {
            "type": "object",
            "properties": {one.name: {"description": one.info, **one.schema()} for one in body},
            "required": [one.name for one in body if one.required],
            "additionalProperties": False,
        }
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation
