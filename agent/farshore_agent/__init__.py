"""The agent: runs at a site, keeps its records safe and delivers them to the hub."""
