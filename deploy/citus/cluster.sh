#!/bin/sh
# Makes one Citus cluster of the servers of compose.yaml. Safe to run again.
set -eu

sql() {
    PGPASSWORD=$POSTGRES_PASSWORD psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 \
        --host=coordinator --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --command="$1"
}

sql "SELECT citus_set_coordinator_host('coordinator', 5432)"
for worker in worker1 worker2; do
    sql "SELECT citus_add_node('$worker', 5432)"
done
