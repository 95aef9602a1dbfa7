"""The embedded ClickHouse: the engine of chDB behind an HTTP server that speaks ClickHouse's own HTTP interface.

`python -m causeline.stack.clickhouse` serves one data folder on the loopback address, so that clickhouse-connect,
Grafana and curl are served as by a ClickHouse server and every other part knows one way only.

    statement.py    where a statement ends and its data begins
    request.py      what the URL, the headers and the form say
    body.py         the request body: limits, time-outs, decompression
    engine.py       chDB: one path, a connection a request
    execution.py    one statement on one connection, as chunks or as a count
    response.py     results and errors as ClickHouse sends them
    sessions.py     connections kept under a session_id
    fences.py       what the reader's statements have to pass
    landlock.py     what the whole process may touch
    app.py          one request from its first byte to its last

Not built: `compress=1` (ClickHouse's own block framing of results, which needs CityHash128 of every block) is
refused with NOT_IMPLEMENTED; use `enable_http_compression=1`. `decompress=1` is read, its checksums are not verified.
`query_id` comes back in the headers, but the engine's own tables show ids of its own.
"""
