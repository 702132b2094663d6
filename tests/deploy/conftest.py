"""Tests import what scripts/ run as those do: from the scripts' own folder."""

import sys

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
