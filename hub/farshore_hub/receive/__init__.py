"""Takes parcels: verified outside, stored with the ledger in one transaction, answered after the commit."""
