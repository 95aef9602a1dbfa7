"""The console over HTTP: pages for people, an API for programs, and the schemas as a read-only registry."""
