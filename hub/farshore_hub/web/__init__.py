"""The hub's one port: TLS with client certificates, sign-in, the routes, problems, health and metrics."""
