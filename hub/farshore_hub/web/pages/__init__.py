"""The hub's page for people: how the fleet stands, site by site and hour by hour, live, in the browser.

`views` makes what the templates show, and is pure; `routes` are thin; `live` tells open pages what has changed. Nothing
here knows more than the API: what the page shows and does, `/v1/…` and the commands show and do.
"""
