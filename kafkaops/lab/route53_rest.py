"""Route 53's REST-XML interface over one `Zone`: the operations that kafkaops uses.

Source: the Route 53 API reference, version 2013-04-01.
"""

from __future__ import annotations

import datetime
import re
import urllib.parse
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field

from kafkaops.lab.route53 import Change, RecordSet, Refused, Submitted, Zone, normal

NS = "https://route53.amazonaws.com/doc/2013-04-01/"
PREFIX = "/2013-04-01/"
# In the order of the API's schema.
ROUTING = ("Weight", "Region", "GeoLocation", "Failover", "MultiValueAnswer", "HealthCheckId")
MAX_PAGE = 300
ACCOUNT = "arn:aws:iam::123456789012:user/lab"


@dataclass
class Api:
    """`denied` lists IAM actions that are refused; `throttle` is how many calls to refuse yet.
    `others` are further zones of the account, which are only listed."""

    zone: Zone
    denied: frozenset[str] = frozenset()
    throttle: int = 0
    others: tuple[Zone, ...] = ()
    routes: list[tuple[str, str, str, Callable[[str, dict[str, str], bytes], ET.Element]]] = field(
        init=False
    )

    def __post_init__(self) -> None:
        self.routes = [
            ("POST", r"hostedzone/([^/]+)/rrset/?", "ChangeResourceRecordSets", self._change_sets),
            ("GET", r"hostedzone/([^/]+)/rrset/?", "ListResourceRecordSets", self._list_sets),
            ("GET", r"hostedzone/([^/]+)", "GetHostedZone", self._get_zone),
            ("GET", r"(hostedzone)/?", "ListHostedZones", self._list_zones),
            ("GET", r"(hostedzonesbyname)/?", "ListHostedZonesByName", self._list_by_name),
            ("GET", r"change/([^/]+)", "GetChange", self._get_change),
        ]

    def handle(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """Status and XML of the answer to one request."""
        request_id = str(uuid.uuid4())
        try:
            return 200, _document(self._dispatch(method, target, body))
        except Refused as refused:
            root = ET.Element("ErrorResponse", xmlns=NS)
            error = ET.SubElement(root, "Error")
            _text(error, "Type", "Sender")
            _text(error, "Code", refused.code)
            _text(error, "Message", refused.message)
            _text(root, "RequestId", request_id)
            return refused.status, _document(root)

    def _dispatch(self, method: str, target: str, body: bytes) -> ET.Element:
        url = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(url.query))
        path = urllib.parse.unquote(url.path).removeprefix(PREFIX)
        for verb, pattern, action, call in self.routes:
            match = re.fullmatch(pattern, path)
            if verb == method and match:
                self._permit(action)
                return call(match.group(1), query, body)
        raise Refused("NotImplemented", f"the lab's Route 53 has no {method} {url.path}", 501)

    def _permit(self, action: str) -> None:
        if self.throttle > 0:
            self.throttle -= 1
            raise Refused("Throttling", "Rate exceeded")
        if f"route53:{action}" in self.denied or "route53:*" in self.denied:
            resource = f"arn:aws:route53:::hostedzone/{self.zone.id}"
            raise Refused(
                "AccessDenied",
                f"User: {ACCOUNT} is not authorized to perform: route53:{action} on resource: "
                f"{resource} because no identity-based policy allows the route53:{action} action",
                403,
            )

    def _own(self, zone_id: str) -> Zone:
        if zone_id != self.zone.id:
            raise Refused("NoSuchHostedZone", f"No hosted zone found with ID: {zone_id}", 404)
        return self.zone

    # -- operations -------------------------------------------------------------------------

    def _change_sets(self, zone_id: str, query: dict[str, str], body: bytes) -> ET.Element:
        zone = self._own(zone_id)
        try:
            root = ET.fromstring(body)
        except ET.ParseError as error:
            raise Refused("InvalidInput", f"Invalid XML ; {error}") from None
        batch = _find(root, "ChangeBatch")
        changes = [_change(element) for element in _all(_find(batch, "Changes"), "Change")]
        change = zone.submit(changes, _get(batch, "Comment"))
        answer = ET.Element("ChangeResourceRecordSetsResponse", xmlns=NS)
        _info(answer, change)
        return answer

    def _get_change(self, change_id: str, query: dict[str, str], body: bytes) -> ET.Element:
        answer = ET.Element("GetChangeResponse", xmlns=NS)
        _info(answer, self.zone.change(change_id))
        return answer

    def _list_sets(self, zone_id: str, query: dict[str, str], body: bytes) -> ET.Element:
        sets = self._own(zone_id).record_sets()
        size = min(int(query.get("maxitems", MAX_PAGE)), MAX_PAGE)
        if "name" in query:
            start = RecordSet(
                normal(query["name"]), query.get("type", ""), None, (), query.get("identifier", "")
            )
            sets = [record for record in sets if record.order >= start.order]
        answer = ET.Element("ListResourceRecordSetsResponse", xmlns=NS)
        listed = ET.SubElement(answer, "ResourceRecordSets")
        for record in sets[:size]:
            _record(listed, record)
        more = sets[size : size + 1]
        _text(answer, "IsTruncated", "true" if more else "false")
        for record in more:
            _text(answer, "NextRecordName", record.name)
            _text(answer, "NextRecordType", record.type)
            if record.set_identifier:
                _text(answer, "NextRecordIdentifier", record.set_identifier)
        _text(answer, "MaxItems", str(size))
        return answer

    def _get_zone(self, zone_id: str, query: dict[str, str], body: bytes) -> ET.Element:
        self._own(zone_id)
        answer = ET.Element("GetHostedZoneResponse", xmlns=NS)
        self._zone(answer)
        delegation = ET.SubElement(answer, "DelegationSet")
        servers = ET.SubElement(delegation, "NameServers")
        _text(servers, "NameServer", f"ns-1.{self.zone.name.rstrip('.')}")
        return answer

    def _list_zones(self, _: str, query: dict[str, str], body: bytes) -> ET.Element:
        answer = ET.Element("ListHostedZonesResponse", xmlns=NS)
        self._zone(ET.SubElement(answer, "HostedZones"))
        _text(answer, "Marker", "")
        _text(answer, "IsTruncated", "false")
        _text(answer, "MaxItems", "100")
        return answer

    def _list_by_name(self, _: str, query: dict[str, str], body: bytes) -> ET.Element:
        answer = ET.Element("ListHostedZonesByNameResponse", xmlns=NS)
        listed = ET.SubElement(answer, "HostedZones")
        size = min(int(query.get("maxitems", 100)), 100)
        zones = sorted((self.zone, *self.others), key=_by_name)
        wanted = query.get("dnsname")
        if wanted is not None:  # it lists from that name on, it does not filter
            start = (normal(wanted).split(".")[::-1], query.get("hostedzoneid", ""))
            zones = [zone for zone in zones if _by_name(zone) >= start]
            _text(answer, "DNSName", wanted)
        for zone in zones[:size]:
            self._zone(listed, zone)
        more = zones[size : size + 1]
        _text(answer, "IsTruncated", "true" if more else "false")
        for zone in more:
            _text(answer, "NextDNSName", zone.name)
            _text(answer, "NextHostedZoneId", zone.id)
        _text(answer, "MaxItems", str(size))
        return answer

    def _zone(self, parent: ET.Element, of: Zone | None = None) -> None:
        shown = of or self.zone
        zone = ET.SubElement(parent, "HostedZone")
        _text(zone, "Id", f"/hostedzone/{shown.id}")
        _text(zone, "Name", shown.name)
        _text(zone, "CallerReference", "lab")
        config = ET.SubElement(zone, "Config")
        _text(config, "PrivateZone", "true")
        _text(zone, "ResourceRecordSetCount", str(len(shown.record_sets())))


def _by_name(zone: Zone) -> tuple[list[str], str]:
    return zone.name.split(".")[::-1], zone.id


# -- XML --------------------------------------------------------------------------------------


def _change(element: ET.Element) -> Change:
    record = _find(element, "ResourceRecordSet")
    ttl = _get(record, "TTL")
    alias = record.find(f"{{{NS}}}AliasTarget")
    routing = tuple((key, text) for key in ROUTING if (text := _deep(record, key)))
    values = record.find(f"{{{NS}}}ResourceRecords")
    identifier = _get(record, "SetIdentifier")
    policies = [key for key, _ in routing if key != "HealthCheckId"]
    if bool(identifier) != bool(policies):
        raise Refused("InvalidInput", "SetIdentifier and a routing policy go together")
    weight = dict(routing).get("Weight")
    if weight is not None and not (weight.isdigit() and int(weight) <= 255):
        raise Refused(
            "InvalidInput",
            f"1 validation error detected: Value '{weight}' at 'changeBatch.changes.member."
            "resourceRecordSet.weight' failed to satisfy constraint: Member must have value "
            "between 0 and 255",
        )
    return Change(
        _get(element, "Action"),
        RecordSet(
            name=normal(_get(record, "Name")),
            type=_get(record, "Type"),
            ttl=int(ttl) if ttl else None,
            values=tuple(_get(v, "Value") for v in _all(values, "ResourceRecord"))
            if values is not None
            else (),
            set_identifier=identifier,
            routing=routing,
            alias=None
            if alias is None
            else (
                _get(alias, "HostedZoneId"),
                normal(_get(alias, "DNSName")),
                _get(alias, "EvaluateTargetHealth"),
            ),
        ),
    )


def _record(parent: ET.Element, record: RecordSet) -> None:
    element = ET.SubElement(parent, "ResourceRecordSet")
    _text(element, "Name", record.name.replace("*", "\\052"))
    _text(element, "Type", record.type)
    if record.set_identifier:
        _text(element, "SetIdentifier", record.set_identifier)
    for key, value in record.routing:
        if key == "GeoLocation":
            _text(ET.SubElement(element, key), "CountryCode", value)
        elif key != "HealthCheckId":
            _text(element, key, value)
    if record.ttl is not None:
        _text(element, "TTL", str(record.ttl))
        values = ET.SubElement(element, "ResourceRecords")
        for value in record.values:
            _text(ET.SubElement(values, "ResourceRecord"), "Value", value)
    if record.alias is not None:
        target = ET.SubElement(element, "AliasTarget")
        names = ("HostedZoneId", "DNSName", "EvaluateTargetHealth")
        for name, value in zip(names, record.alias, strict=True):
            _text(target, name, value)
    if check := dict(record.routing).get("HealthCheckId"):
        _text(element, "HealthCheckId", check)


def _info(parent: ET.Element, change: Submitted) -> None:
    info = ET.SubElement(parent, "ChangeInfo")
    _text(info, "Id", f"/change/{change.id}")
    _text(info, "Status", "INSYNC" if change.in_sync else "PENDING")
    now = datetime.datetime.now(datetime.UTC)
    _text(info, "SubmittedAt", now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    if change.comment:
        _text(info, "Comment", change.comment)


def _text(parent: ET.Element, name: str, value: str) -> None:
    ET.SubElement(parent, name).text = value


def _find(parent: ET.Element, name: str) -> ET.Element:
    found = parent.find(f"{{{NS}}}{name}")
    if found is None:
        raise Refused("InvalidInput", f"Invalid XML ; {name} is missing")
    return found


def _all(parent: ET.Element, name: str) -> list[ET.Element]:
    return parent.findall(f"{{{NS}}}{name}")


def _get(parent: ET.Element, name: str) -> str:
    return (parent.findtext(f"{{{NS}}}{name}") or "").strip()


def _deep(parent: ET.Element, name: str) -> str:
    """The text of an element, or of what it holds (GeoLocation nests)."""
    found = parent.find(f"{{{NS}}}{name}")
    return "" if found is None else "".join(found.itertext()).strip()


def _document(root: ET.Element) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root)
