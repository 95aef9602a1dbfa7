#!/bin/sh
# A user for each part of docker-compose.yml, with the role of roles.sql and a password from its secret. The image of
# ClickHouse runs it once, on an empty data folder, as its administrator; passwords stand on no command line.
set -eu
for part in owner loader amender operator; do
    hash=$(tr -d '\n' < "${SECRETS:-/run/secrets}/clickhouse_$part" | sha256sum | cut -d' ' -f1)
    echo "CREATE USER IF NOT EXISTS $part IDENTIFIED WITH sha256_hash BY '$hash';"
    echo "GRANT causeline_$part TO $part;"
done | clickhouse-client --multiquery
