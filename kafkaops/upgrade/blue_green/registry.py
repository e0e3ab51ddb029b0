"""Maps the kind of a spec to the class of its step."""

from __future__ import annotations

from collections.abc import Callable

from kafkaops.engine.step import Spec, Step
from kafkaops.ports.world import World
from kafkaops.upgrade.blue_green import (
    clearing,
    cutting,
    finalizing,
    leading,
    mirroring,
    naming,
    preparing,
    returning,
    sanity,
    settling,
    users,
    watching,
)

REGISTRY: dict[str, Callable[[Spec], Step[World]]] = {
    "ttl-lowered": preparing.TtlLowered,
    "ttl-waited": preparing.TtlWaited,
    "closed-to-clients": preparing.ClosedToClients,
    "fence-ready": preparing.FenceReady,
    "parity": preparing.Parity,
    "users-made": users.UsersMade,
    "producer-ids": preparing.ProducerIdsRaised,
    "worker-up": mirroring.WorkerUp,
    "mirroring": mirroring.Mirroring,
    "serves": sanity.Serves,
    "restarts-under-read": sanity.RestartsUnderRead,
    "verified": watching.Verified,
    "gates-held": watching.GatesHeld,
    "mirror-warm": watching.MirrorWarm,
    "leaders-preferred": leading.LeadersPreferred,
    "forwarding": naming.Forwarding,
    "names-moved": naming.NamesMoved,
    "hooks-stopped": cutting.HooksStopped,
    "observed": cutting.Observed,
    "fenced": cutting.Fenced,
    "stands-still": cutting.StandsStill,
    "proven": cutting.Proven,
    "mirror-stopped": cutting.MirrorStopped,
    "mirror-gone": cutting.MirrorGone,
    "groups-moved": cutting.GroupsMoved,
    "deferred-configs": cutting.DeferredConfigs,
    "timers-disarmed": cutting.TimersDisarmed,
    "opened": cutting.Opened,
    "hooks-started": settling.HooksStarted,
    "fence-persistent": settling.FencePersistent,
    "epochs-ahead": leading.EpochsAhead,
    "rejoined": settling.Rejoined,
    "clients-seen": settling.ClientsSeen,
    "ready-for-return": returning.ReadyForReturn,
    "delta-mirror": settling.DeltaMirror,
    "no-strangers": settling.NoStrangers,
    "carried-back": settling.CarriedBack,
    "baked": settling.Baked,
    "blue-quiet": finalizing.Quiet,
    "mirror-retired": finalizing.MirrorRetired,
    "settings-restored": returning.SettingsRestored,
    "ttl-restored": finalizing.TtlRestored,
    "topics-cleared": clearing.TopicsCleared,
}
