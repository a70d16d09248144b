# SPDX-License-Identifier: GPL-3.0-or-later
import functools

from raspy.common.executive import ExecutiveProcess
from raspy.common.mdcliapi import MajorDomoClient
from raspy.servers.broker import Broker


def test_an_executive_in_a_process_of_its_own(run_dir):
    url = f"ipc://{run_dir}"
    process = ExecutiveProcess(functools.partial(Broker, broker=url), "broker")
    process.start()
    try:
        with MajorDomoClient(url) as client:
            client.retries = 20
            assert client.send("mmi.service", "localhost.broker.mmi") == [b"200"]
    finally:
        process.shutdown()
        process.join(10)
    assert process.exitcode == 0
    process.shutdown()
    process.close()
