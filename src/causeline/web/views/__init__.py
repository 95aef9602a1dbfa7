"""What a page or an API answer shows, as plain values made of records: no HTML, no HTTP, no store."""
