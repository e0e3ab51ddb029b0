"""`kafkaops volume install`: what opens the volumes of each host at boot, before Kafka."""

from __future__ import annotations

from kafkaops.cli.commands import OpsCommand, make_app
from kafkaops.cli.consent_flags import Confirm, Detailed, Reason, Yes
from kafkaops.cli.volume_cluster import Cluster, New, Only, Out, Planned, work

app = make_app("The host module, its file and its units.")


@app.command(cls=OpsCommand)
def install(
    cluster: Cluster = "blue",
    only: Only = None,
    plan: Planned = False,
    out: Out = None,
    yes: Yes = False,
    confirm: Confirm = None,
    new: New = False,
    reason: Reason = "",
    detailed: Detailed = False,
) -> int:
    """Put the host module, the file of its volumes and the units there; start and format nothing.

    After the next boot each volume is unlocked and mounted before Kafka, or Kafka does not start
    and the console says why. `run rollback` takes it away again.

    \b
    Examples:
      kafkaops volume install --cluster blue --plan
      kafkaops volume install --cluster blue --only blue-3 --yes --reason CHG-1234
    """
    agreed = (yes, confirm, reason)
    return work(
        "install", cluster, only, None, agreed, plan=plan, out=out, detailed=detailed, new=new
    )
