"""Where a container goes: `place()` is a pure function of a snapshot, the requests, a policy and a seed."""
