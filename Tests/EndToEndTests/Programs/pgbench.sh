#!/bin/bash
# PostgreSQL and pgbench on a unix socket, in one tree: transactions go on until the file `finish` is there. Then none may have
# failed, the sums of the balances have to be those of the history, and pg_amcheck has to find nothing.
# Writes `ready`, `failures`, and at the end `result`. Usage: pgbench.sh DIRECTORY
set -u
cd "$1" || exit 1
programs=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
ask() { as "$programs/psql" -h "$PWD/socket" -tAc "$1" postgres; }
fail() { echo "$*" >> failures; }

mkdir data socket && chown postgres data socket
as "$programs/initdb" -D "$PWD/data" -A trust --no-sync > initdb.log 2>&1 || { fail "$(cat initdb.log)"; exit 1; }
printf '%s\n' "listen_addresses=''" "unix_socket_directories='$PWD/socket'" fsync=off >> data/postgresql.conf
setpriv --reuid=postgres --regid=postgres --clear-groups "$programs/postgres" -D "$PWD/data" > server.log 2>&1 &
server=$!
until as "$programs/pg_isready" -q -h "$PWD/socket"; do sleep 0.05; done
as "$programs/pgbench" -q -i -s 1 -h "$PWD/socket" postgres > initialize.log 2>&1 || { fail "$(cat initialize.log)"; exit 1; }
setpriv --reuid=postgres --regid=postgres --clear-groups \
  "$programs/pgbench" -n -c 4 -j 2 -T 1000 --failures-detailed -h "$PWD/socket" postgres > bench.log 2>&1 &
bench=$!
until [ "$(ask 'select count(*) from pgbench_history')" -gt 20 ]; do sleep 0.05; done
touch ready
until [ -e finish ]; do sleep 0.05; done

before=$(ask 'select count(*) from pgbench_history')
for _ in $(seq 200); do
  after=$(ask 'select count(*) from pgbench_history')
  [ "$after" -gt "$before" ] && break
  sleep 0.05
done
[ "$after" -gt "$before" ] || fail "no transaction since the restart: $before"
# A job of a script ignores SIGINT.
kill -TERM $bench
wait $bench 2> /dev/null
grep -iE 'abort|error|fatal' bench.log >> failures
sums='select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)
  and (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history)'
# Transactions that were under way when pgbench ended are over when their servers are.
for _ in $(seq 100); do
  [ "$(ask "select count(*) from pg_stat_activity where application_name = 'pgbench'")" = 0 ] && break
  sleep 0.05
done
[ "$(ask "$sums")" = t ] || fail "the balances are not those of the history"
as "$programs/psql" -h "$PWD/socket" -qc 'create extension amcheck' postgres 2>> failures
as "$programs/pg_amcheck" -h "$PWD/socket" postgres >> failures 2>&1
kill -INT $server
wait $server || fail "postgres ended with $?"
[ -s failures ] || { rm -f failures; echo "OK pgbench" > result; }
