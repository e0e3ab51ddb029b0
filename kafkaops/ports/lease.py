"""Where leases are kept: a local directory, or S3 where operators sit at several machines."""

from __future__ import annotations

from typing import Protocol

from kafkaops.engine.lease import Holder, Lease


class LeaseKeeper(Protocol):
    """Errors: LeaseHeld (who holds it), ConfigError (permissions, no such bucket),
    Unreachable. Taking a lease is no change of a cluster, so it is not marked as mutating."""

    def acquire(self, name: str, holder: Holder, ttl: float) -> Lease:
        """Take the lease `name` or raise LeaseHeld. `ttl` in seconds is how long the lease
        outlives a holder that can no longer be seen to have died."""

    def holder(self, name: str) -> Holder | None:
        """Who holds it now; None when nobody does."""
