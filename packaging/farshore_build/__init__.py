"""Makes what is installed: Debian packages, single files, and what is in them.

`make deb` and `make pyz` call it. Nothing is compiled: what is pinned comes as wheels, so the packages of another
architecture are made here too.
"""
