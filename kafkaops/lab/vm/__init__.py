"""A virtual machine for what needs a kernel of its own: dm-crypt, blank disks, a boot.

Emulated (TCG), so it runs where no virtualisation is to be had, and slowly: see `machine.py`.
"""
