"""The audit: re-reads what is stored against the ledger, heals what it can, and says what is lost for good.

While the hub runs, `auditor` makes a round now and then, slowly; `farshore-hub audit` makes one on demand. A round
holds every account against its batches, every sealed batch against its digest, and every row of the lake against the
digest that was kept when it was written. What is damaged is rebuilt from the other copy, or wanted again from its site.
"""
