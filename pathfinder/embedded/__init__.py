"""Everything embedded, everything real: the services of a whole Pathfinder on one machine.

`Stack` is what `pathfinder up` runs: PostgreSQL, RabbitMQ and, where no init system does it, LXD, with every role,
kept alive by supervisord. `Lab` is several real LXD nodes on one machine. Each owns one directory and leaves alone
what is not in it.
"""
