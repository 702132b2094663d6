"""`python -m simulators`: serve the platforms until interrupted."""

from __future__ import annotations

import argparse
import signal
from datetime import date, datetime
from pathlib import Path

from simulators.faults import FAULTS
from simulators.server import Simulator


def main() -> None:
    """Parse the command line, serve, and write the port to `--port-file` once requests are answered."""
    parser = argparse.ArgumentParser(prog="python -m simulators", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--days", type=int, default=60, help="days with figures, up to --now")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is some hundred ad rows a day")
    parser.add_argument(
        "--now", type=datetime.fromisoformat, help="ISO instant with offset; else the real clock"
    )
    parser.add_argument(
        "--first-day", type=date.fromisoformat, help="first day with figures, in place of --days"
    )
    parser.add_argument("--replay", type=Path, metavar="DIR", help="serve recorded exchanges instead")
    parser.add_argument("--ads-csv", type=Path, metavar="FILE", help="serve ad rows as one account's day")
    parser.add_argument("--ads-csv-day", type=date.fromisoformat, metavar="DAY")
    parser.add_argument("--faults", default="", help=f"comma-separated: {', '.join(FAULTS)}")
    parser.add_argument("--facebook-app-secret", help="then every call needs its appsecret_proof")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file", type=Path)
    asked = parser.parse_args()
    wrong = [name for name in filter(None, asked.faults.split(",")) if name not in FAULTS]
    if wrong:
        parser.error(f"no fault named {', '.join(wrong)}; there are: {', '.join(FAULTS)}")
    if asked.ads_csv and not asked.ads_csv_day:
        parser.error("--ads-csv needs --ads-csv-day")

    sim = Simulator(
        seed=asked.seed,
        days=asked.days,
        scale=asked.scale,
        now=asked.now,
        first_day=asked.first_day,
        port=asked.port,
        facebook_app_secret=asked.facebook_app_secret,
        replay=asked.replay,
        ads_csv=asked.ads_csv,
        ads_csv_day=asked.ads_csv_day,
    )
    for name in filter(None, asked.faults.split(",")):
        sim.fault(name)

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    try:
        with sim:
            if asked.port_file:
                # written beside and renamed, so that who waits for the file never reads half of it
                part = asked.port_file.with_suffix(".part")
                part.write_text(str(sim.port))
                part.replace(asked.port_file)
            where = f"Meta {sim.facebook_url}  Google Ads {sim.google_url}"
            where += "" if sim.state.people is None else f"  CleverTap {sim.clevertap_url}"
            print(where, flush=True)
            sim.wait()
    except KeyboardInterrupt:
        pass


main()
