#!/bin/sh
# Makes every secret of docker-compose.yml that is not there yet, beside this script or in the folder that is named.
# The folder is closed to others; the files are not, for containers read them as they are, as users of their own.
set -eu
folder=${1:-$(dirname "$0")}
mkdir -p "$folder"
chmod 700 "$folder"
for name in clickhouse_admin clickhouse_owner clickhouse_loader clickhouse_amender clickhouse_operator \
    console_token metrics_token otlp_token; do
    [ -s "$folder/$name" ] || head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > "$folder/$name"
    chmod 444 "$folder/$name"
done
