"""Breaking everything on purpose: campaigns of faults against real processes, and the checker that judges them.

`__main__` runs the campaigns that `lane` lists, through `runs`, and prints a table; `plant` shows that they catch the
bugs of `planted_bugs`. A campaign stages processes (`context`, `fleet`, `forked`, `server`,
`nats_server`), lets things happen (`payees`, `svix`, `consumers`, `subscribers`) and break (`proxy`, `commit_proxies`,
`crash_points`), and writes every request and answer down (`history`). `checker`, a program of its own, then collects
the `evidence` and holds it against the `invariants`.
"""
