"""Campaigns inject faults into real processes. A checker then judges what is left.

`__main__` runs the campaigns of `campaign_process`, through `runs`, and prints a table. `plant` shows that they catch
the bugs of `planted_bugs`. A campaign starts processes (`context`, `fleet`, `forked`, `server`, `nats_server`), makes
load (`payees`, `svix`, `consumers`, `subscribers`), injects faults (`proxy`, `commit_proxies`, `crash_points`), and
records every request and answer (`history`). The `checker` process then collects the `evidence` and judges it by the
`invariants`.
"""
