"""Who this site is: its keys, its certificate, the hub that it belongs to; how it joins and stays a member."""
