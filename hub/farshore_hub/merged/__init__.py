"""The merged tables as they stand in the database: merging into them, and what people do with them.

Sites' changes come by way of `merger`, the hub's own by way of `desk`; both are merged by the same statements.
"""
