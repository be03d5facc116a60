#!/usr/bin/env python3
"""The network between clients and servers, with the middlebox in it.

    box.py SCENE.json LOG.jsonl READY [--wishes FOLDER] NAMESPACE:INTERFACE=CLIENT... server=NAMESPACE:INTERFACE

In: a scene and the TAPs of its namespaces. Out: a line in LOG for every packet that was touched; READY (holding the scene's
start in seconds since 1970) as soon as packets are forwarded. Runs until SIGTERM. The parts are in the folder `box`.
"""
from box.main import main

if __name__ == "__main__":
    main()
