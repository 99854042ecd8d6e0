"""Can the agents run here, and if not, what to do: the facts behind `runner doctor`."""
