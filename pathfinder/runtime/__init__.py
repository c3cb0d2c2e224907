"""What an agent drives: one port (`port.py`), real LXD (`lxd.py`) and a simulation (`simulated.py`)."""
