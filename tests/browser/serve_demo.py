"""The demo as a process of its own, on the ports given: what the browser tests talk to."""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.ray_environment import private_folder
from gateway.settings import DemoSettings

if __name__ == "__main__":
    gateway_port, host_port, data = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    with private_folder() as folder:
        from gateway.demo import run_demo

        sys.exit(
            run_demo(
                DemoSettings(gateway_port=gateway_port, host_port=host_port, data_dir=data),
                folder,
            )
        )
