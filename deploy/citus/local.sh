#!/bin/sh
# A Citus cluster of one coordinator and two workers on this machine, for tests and experiments: nothing of it is for production.
#
#   deploy/citus/local.sh start FOLDER    makes the three servers in FOLDER if they are missing, and starts them
#   deploy/citus/local.sh stop FOLDER
#
# PORT is the port of the coordinator, 5500 by default; the workers have the two after it. PGBIN is the folder of the PostgreSQL
# programs, into whose installation Citus must be installed. PostgreSQL refuses to run as root: then the account `postgres` runs it.
set -eu

ACTION=${1:?start or stop}
FOLDER=${2:?a folder}
PORT=${PORT:-5500}
PGBIN=${PGBIN:-$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)}
NODES="coordinator worker1 worker2"

as_server() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

port_of() {
    case $1 in coordinator) echo "$PORT" ;; worker1) echo $((PORT + 1)) ;; worker2) echo $((PORT + 2)) ;; esac
}

sql() {
    psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --host=127.0.0.1 --username=postgres --port="$1" --dbname="$2" --command="$3"
}

make() {
    as_server "$PGBIN/initdb" --username=postgres --auth=trust --encoding=UTF8 --locale=C --pgdata="$FOLDER/$1" >/dev/null
    # A pool of the service has a connection of each node behind each of its own. max_prepared_transactions is for transactions that
    # write on several nodes.
    as_server sh -c "cat >>'$FOLDER/$1/postgresql.conf'" <<SETTINGS
shared_preload_libraries = 'citus'
port = $(port_of "$1")
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
max_prepared_transactions = 300
max_worker_processes = 100
wal_level = logical
citus.shard_count = ${SHARDS:-32}
SETTINGS
}

# Makes a database on all three servers, and one Citus cluster of it.
database() {
    for node in $NODES; do
        sql "$(port_of "$node")" postgres "CREATE DATABASE $1" || true
        sql "$(port_of "$node")" "$1" "CREATE EXTENSION IF NOT EXISTS citus"
    done
    sql "$PORT" "$1" "SELECT citus_set_coordinator_host('127.0.0.1', $PORT)" >/dev/null
    for node in worker1 worker2; do
        sql "$PORT" "$1" "SELECT citus_add_node('127.0.0.1', $(port_of "$node"))" >/dev/null
    done
}

case $ACTION in
start)
    # Servers that were made before keep their ports.
    if [ -e "$FOLDER/coordinator" ]; then PORT=$(sed -n 's/^port = //p' "$FOLDER/coordinator/postgresql.conf"); fi
    mkdir -p "$FOLDER"
    if [ "$(id -u)" = 0 ]; then chown postgres "$FOLDER"; fi
    is_new=no
    for node in $NODES; do
        if [ ! -e "$FOLDER/$node" ]; then
            make "$node"
            is_new=yes
        fi
        as_server "$PGBIN/pg_ctl" start --wait --silent --pgdata="$FOLDER/$node" --log="$FOLDER/$node.log"
    done
    if [ $is_new = yes ]; then database roster; fi
    echo "TEST_CITUS_URL=postgresql://postgres@127.0.0.1:$PORT/roster"
    ;;
stop)
    for node in $NODES; do
        as_server "$PGBIN/pg_ctl" stop --mode=fast --silent --pgdata="$FOLDER/$node" || true
    done
    ;;
*)
    echo "start or stop, not $ACTION" >&2
    exit 2
    ;;
esac
