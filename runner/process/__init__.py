"""The only place that starts an agent: spawn, streams, limits, and the end of its process tree."""
