"""Machines with real systemd and real sshd, as containers, for what the lab's own hosts are not.

They share the machine's network on loopback addresses of their own; their engine and everything
in it is private to whoever started it, and ends with it.
"""
