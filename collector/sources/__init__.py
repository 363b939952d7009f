"""The platforms, one module each: `open_streams` (needs the settings), fetch (needs the network), records (neither)."""
