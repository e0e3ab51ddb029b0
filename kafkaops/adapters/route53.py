"""Names in a Route 53 hosted zone over boto3, and what resolvers answer, over dnspython.

Invariant: a batch is checked here first as strictly as Route 53 itself would (exact values,
nothing beside a CNAME, no name twice), because emulations of it are laxer.
Source: Route 53 API reference, ChangeResourceRecordSets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import boto3
import dns.exception
import dns.resolver
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from kafkaops.config.moving import zone_name
from kafkaops.config.schema import Aws
from kafkaops.engine.errors import ConfigError, OpsError, StepFailed, Unreachable
from kafkaops.ports.names import Record

T = TypeVar("T")

DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"}
CREDENTIALS = {
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "UnrecognizedClientException",
}
ROUTINGS = {
    "Weight": "weighted",
    "Region": "latency",
    "Failover": "failover",
    "GeoLocation": "geolocation",
    "GeoProximityLocation": "geoproximity",
    "MultiValueAnswer": "multivalue",
    "CidrRoutingConfig": "cidr",
}


class Route53:
    """One hosted zone, by its id or by a name that no other of the account has. `resolver` is
    `host:port`; None asks what the system would ask. It has `patience` seconds to answer."""

    def __init__(
        self,
        zone: str,
        aws: Aws,
        *,
        resolver: str | None = None,
        client: Any = None,
        patience: float = 3.0,
    ) -> None:
        self._given = zone
        self._zone_id = "" if zone_name(zone) else zone
        self._aws = aws
        self._resolver_at = resolver
        self._made = client
        self._patience = patience
        self._name: str | None = None

    def zone(self) -> str:
        if self._name is None:
            zone_id = self._id()
            found = self._call("GetHostedZone", lambda c: c.get_hosted_zone(Id=zone_id))
            self._name = _decode(found["HostedZone"]["Name"])
        return self._name

    def records(self, names: Sequence[str]) -> tuple[Record, ...]:
        zone = self.zone()
        wanted = sorted({name.rstrip(".").lower() for name in names})
        for name in wanted:
            if name != zone and not name.endswith("." + zone):
                raise ConfigError(
                    "KO-NAMES-ZONE",
                    f"{name} does not lie in the zone {zone} ({self._id()})",
                    where="cutover.hosted_zone",
                    hint="name the hosted zone that holds these records",
                )
        found: list[Record] = []
        for name in wanted:
            found += self._of_name(name)
        return tuple(sorted(found))

    def change(self, delete: Sequence[Record], create: Sequence[Record], *, comment: str) -> str:
        self._strict(delete, create)
        zone_id = self._id()
        changes = [{"Action": "DELETE", "ResourceRecordSet": _to_aws(r)} for r in delete]
        changes += [{"Action": "CREATE", "ResourceRecordSet": _to_aws(r)} for r in create]
        answer = self._call(
            "ChangeResourceRecordSets",
            lambda c: c.change_resource_record_sets(
                HostedZoneId=zone_id,
                ChangeBatch={"Comment": comment[:256], "Changes": changes},
            ),
        )
        return str(answer["ChangeInfo"]["Id"]).removeprefix("/change/")

    def in_sync(self, change_id: str) -> bool:
        answer = self._call("GetChange", lambda c: c.get_change(Id=change_id))
        return bool(answer["ChangeInfo"]["Status"] == "INSYNC")

    def answer(self, name: str) -> tuple[str, ...]:
        resolver = self._resolver()
        try:
            found = resolver.resolve(
                name.rstrip(".") + ".", "A", lifetime=self._patience, search=False
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except dns.exception.DNSException as error:
            raise Unreachable(
                "KO-RESOLVER",
                f"no answer for {name} within {self._patience:g} s: {error}",
                where=self._resolver_at or "the system's resolver",
            ) from None
        return tuple(sorted(str(address) for address in found))

    # inside

    def _id(self) -> str:
        if not self._zone_id:
            zones = self._named(zone_name(self._given))
            if len(zones) != 1:
                has = ", ".join(zones)
                raise ConfigError(
                    "KO-NAMES-ZONE",
                    f"{len(zones)} hosted zones are named {self._given}: {has}"
                    if zones
                    else f"no hosted zone of this account is named {self._given}",
                    where="cutover.hosted_zone",
                    hint="give the id of the one that clients ask"
                    if zones
                    else "aws route53 list-hosted-zones",
                )
            (self._zone_id,) = (words.split()[0] for words in zones)
        return self._zone_id

    def _named(self, name: str) -> list[str]:
        """The zones of just this name, public and private ones, as `id (private)`. The API lists
        from a name on, a page at a time, and does not filter."""
        found: list[str] = []
        page: dict[str, Any] = {"DNSName": name}
        for _ in range(100):
            start = dict(page)
            answer = self._call(
                "ListHostedZonesByName",
                lambda c, start=start: c.list_hosted_zones_by_name(**start),  # type: ignore[misc]
            )
            for item in answer["HostedZones"]:
                if _decode(item["Name"]) == name:
                    kind = "private" if item.get("Config", {}).get("PrivateZone") else "public"
                    found.append(f"{str(item['Id']).removeprefix('/hostedzone/')} ({kind})")
            if not answer.get("IsTruncated") or _decode(answer["NextDNSName"]) != name:
                return found
            page = {
                "DNSName": answer["NextDNSName"],
                "HostedZoneId": answer["NextHostedZoneId"],
            }
        raise StepFailed("KO-NAMES", f"more hosted zones are named {name} than can be read")

    def _of_name(self, name: str) -> list[Record]:
        """Records are listed from a name on, in an order of their own, a page at a time."""
        found: list[Record] = []
        zone_id = self._id()
        page: dict[str, Any] = {"StartRecordName": name + "."}
        for _ in range(100):
            start = dict(page)
            answer = self._call(
                "ListResourceRecordSets",
                lambda c, start=start: c.list_resource_record_sets(  # type: ignore[misc]
                    HostedZoneId=zone_id, **start
                ),
            )
            for item in answer["ResourceRecordSets"]:
                if _decode(item["Name"]) == name:
                    found.append(_from_aws(item))
            if not answer.get("IsTruncated") or _decode(answer["NextRecordName"]) != name:
                return found
            page = {
                "StartRecordName": answer["NextRecordName"],
                "StartRecordType": answer["NextRecordType"],
            }
            if "NextRecordIdentifier" in answer:
                page["StartRecordIdentifier"] = answer["NextRecordIdentifier"]
        raise StepFailed("KO-NAMES", f"{name} has more records than can be read")

    def _strict(self, delete: Sequence[Record], create: Sequence[Record]) -> None:
        special = [r.name for r in (*delete, *create) if r.routing]
        if special:
            raise ConfigError("KO-NAMES", f"never changed by us, not simple records: {special}")
        present = set(self.records([r.name for r in (*delete, *create)]))
        gone = [r for r in delete if r not in present]
        if gone:
            raise StepFailed(
                "KO-NAMES-DRIFT",
                "changed by someone since they were read: " + ", ".join(_words(r) for r in gone),
                where=self.zone(),
                hint="look at the zone, then plan again",
            )
        left = present - set(delete)
        for record in create:
            beside = [r for r in left if r.name == record.name]
            if any(r.kind == record.kind or "CNAME" in (r.kind, record.kind) for r in beside):
                raise StepFailed(
                    "KO-NAMES-DRIFT",
                    f"{_words(record)} cannot be created beside "
                    + ", ".join(_words(r) for r in beside),
                    where=self.zone(),
                )
            left.add(record)

    def _call(self, action: str, call: Callable[[Any], T]) -> T:
        try:
            return call(self._client())
        except ClientError as error:
            raise self._translated(action, error) from None
        except BotoCoreError as error:
            where = self._aws.endpoint_url or "Route 53"
            if type(error).__name__ in {"NoCredentialsError", "ProfileNotFound"}:
                raise ConfigError("KO-AWS-CREDENTIALS", str(error), where=where) from None
            raise Unreachable("KO-AWS-UNREACHABLE", str(error), where=where) from None

    def _translated(self, action: str, error: ClientError) -> OpsError:
        code = error.response.get("Error", {}).get("Code", "")
        text = error.response.get("Error", {}).get("Message", str(error))
        if code in DENIED:
            return ConfigError(
                "KO-AWS-DENIED",
                f"missing permission route53:{action}: {text}",
                where=f"hosted zone {self._given}",
                hint=f"allow route53:{action} for the role or user that runs kafkaops",
            )
        if code in CREDENTIALS:
            return ConfigError("KO-AWS-CREDENTIALS", text, where=f"route53:{action}")
        if code == "NoSuchHostedZone":
            return ConfigError(
                "KO-NAMES-ZONE",
                f"there is no hosted zone {self._given} in this account",
                where="cutover.hosted_zone",
                hint="aws route53 list-hosted-zones",
            )
        return StepFailed("KO-NAMES", f"{code}: {text}", where=f"route53:{action}")

    def _client(self) -> Any:
        if self._made is None:
            session = boto3.Session(
                profile_name=self._aws.profile or None, region_name=self._aws.region
            )
            self._made = session.client(
                "route53",
                endpoint_url=self._aws.endpoint_url or None,
                config=BotoConfig(
                    connect_timeout=5,
                    read_timeout=20,
                    retries={"max_attempts": 5, "mode": "standard"},
                ),
            )
        return self._made

    def _resolver(self) -> dns.resolver.Resolver:
        if self._resolver_at is None:
            resolver = dns.resolver.Resolver()
        else:
            host, _, port = self._resolver_at.rpartition(":")
            resolver = dns.resolver.Resolver(configure=False)
            resolver.nameservers = [host]
            resolver.port = int(port)
        resolver.cache = None
        return resolver


def _decode(name: str) -> str:
    """Route 53 writes `*` and others as octal escapes (`\\052`), and a trailing dot."""
    out, rest = "", name
    while "\\" in rest:
        before, _, after = rest.partition("\\")
        out += before + chr(int(after[:3], 8))
        rest = after[3:]
    return (out + rest).rstrip(".").lower()


def _from_aws(item: dict[str, Any]) -> Record:
    routing = "alias" if "AliasTarget" in item else ""
    for key, word in ROUTINGS.items():
        if key in item:
            routing = word
    if not routing and "SetIdentifier" in item:
        routing = "routed"
    if not routing and "HealthCheckId" in item:
        routing = "health-checked"
    values = tuple(sorted(r["Value"] for r in item.get("ResourceRecords", [])))
    if routing == "alias":
        values = (str(item["AliasTarget"]["DNSName"]),)
    return Record(_decode(item["Name"]), item["Type"], int(item.get("TTL", 0)), values, routing)


def _to_aws(record: Record) -> dict[str, Any]:
    return {
        "Name": record.name + ".",
        "Type": record.kind,
        "TTL": record.ttl,
        "ResourceRecords": [{"Value": value} for value in record.values],
    }


def _words(record: Record) -> str:
    return f"{record.name} {record.kind} {record.ttl} {','.join(record.values)}"
