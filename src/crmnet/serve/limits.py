"""Limits of a server: what a request may have, and how many requests wait.

:class:`Limits` is passed to all modules of this folder. Every refusal names its limit. The defaults
suit one person on a laptop.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Limits of a server; ``crmnet serve --help`` shows the defaults."""

    sequence_bases: int = 1_000
    """Longest sequence, in bases; the network itself reads fewer, which its error says."""
    sequences: int = 1_000
    """Sequences of one request."""
    changes: int = 1_000
    """Variants of one request."""
    designs: int = 100
    """Designs of one job."""
    body_bytes: int = 1 << 20
    """Largest body of a request to the API."""
    game_body_bytes: int = 32 << 20
    """Largest body of a request of GAME, which sends a whole test set at once."""
    game_sequences: int = 200_000
    """Sequences of one request of GAME."""
    bodies_bytes: int = 128 << 20
    """Bodies of all requests that are read at a time."""
    body_seconds: float = 20.0
    """Time for a client to send a request."""
    header_seconds: float = 10.0
    """Time until the headers of a request are complete."""
    reading_seconds: float = 30.0
    """Time for which a client may not read what is sent to it."""
    answer_seconds: float = 300.0
    """Time for a request to be answered."""
    job_seconds: float = 600.0
    """Longest search of a job; then the best designs so far are the result."""
    jobs_per_client: int = 2
    """Jobs of one client that wait or run."""
    jobs: int = 8
    """Jobs of all clients that wait or run."""
    kept_jobs: int = 64
    """Finished jobs that are kept, the newest first."""
    kept_seconds: float = 3600.0
    """Time for which a finished job is kept."""
    streams: int = 32
    """Open streams of events."""
    queue: int = 256
    """Requests that wait for the model or are being predicted."""
    connections: int = 1_000
    """Open connections."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(
                    f"the limit {field.name} must be above 0; got {getattr(self, field.name)}"
                )
