"""When somebody has to be told: kinds of alerts, the rules that set their levels, and the hysteresis. Pure.

`watch` looks at the store and asks these; `notify` carries what they say out of the house.
"""
