"""The same posts to what a user could take instead of our intake, side by side, with what each of them checks."""

from deploy.local.benchmark.peers.measure import Peer, as_table, measure_peers

__all__ = ["Peer", "as_table", "measure_peers"]
