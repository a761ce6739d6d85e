"""DuckDB in processes of their own: what people ask cannot take the hub's memory, nor outlast its time.

One process imports what it takes and waits (`zygote`); it has a single thread, so it may fork. For each question it
forks a worker, which the kernel bounds (`confined`), which answers (`answering`) and is gone. The hub (`workers`) talks
to it over a socket (`channel`, `messages`): it sends what is not in the lake yet and gets Arrow batches. When the hub
hangs up, at the deadline or because nobody waits for the answer any more, the zygote kills the worker. A worker has no
keys and no database.
"""
