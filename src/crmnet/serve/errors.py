"""Errors of the API: one class, one form.

Every error is answered as ``{"error": {"code", "message", "limit", "field"}}``. The message is one
sentence that a page can show.
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A request that cannot be answered.

    Args:
        status: HTTP status.
        code: Short name of the reason, for programs.
        message: One sentence, for people.
        limit: The limit that was exceeded.
        field: Where in the request the reason is, such as ``promoters[3].sequence``.
        retry_after: Seconds after which a client should try again.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        limit: float | None = None,
        field: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.limit, self.field, self.retry_after = limit, field, retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    def body(self) -> dict[str, Any]:
        """The answer."""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "limit": self.limit,
                "field": self.field,
            }
        }


def too_many(what: str, limit: int, got: int, field: str) -> ApiError:
    """A request has more items than the limit."""
    return ApiError(
        422,
        "too_many",
        f"a request may have at most {limit:,} {what}; got {got:,}",
        limit=limit,
        field=field,
    )


def busy(message: str, limit: float, seconds: int = 1) -> ApiError:
    """The server has too much to do."""
    return ApiError(503, "busy", message, limit=limit, retry_after=seconds)
