"""HTTP/1.1 on asyncio and httptools, server and client; every size and every wait is bounded."""
