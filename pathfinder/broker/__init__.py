"""RabbitMQ: what there is (`topology.py`), sending (`publish.py`) and receiving (`consume.py`)."""
