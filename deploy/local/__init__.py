"""Sural on one machine: the command line, the supervisor and the servers that it starts."""
