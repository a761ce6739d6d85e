"""The lake: every stored batch becomes rows of its stream's Delta table, exactly once, behind the accept path.

The store is the truth about which batch belongs to which lake commit; a Delta table says which lake commits it has.
Nothing here holds up an answer to a site, and everything here can be killed and started again.
"""
