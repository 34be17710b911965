"""What the page shows and does, made of the running gateway's parts; no HTTP here (`gateway.web` has that)."""
