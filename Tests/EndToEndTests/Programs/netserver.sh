#!/bin/bash
# A network server in the foreground, for clients in another tree. Usage: netserver.sh KIND PORT DIRECTORY
set -eu
kind=$1 port=$2
cd "$3"
files() {
  mkdir -p www
  head -c 20000000 /dev/urandom > www/file
  echo small > www/small
  chmod -R a+rX .
}
case $kind in
  redis)
    # 100 MB of data.
    redis-server --port "$port" --bind 127.0.0.1 --save '' --enable-debug-command local > server.log 2>&1 &
    until redis-cli -p "$port" ping > /dev/null 2>&1; do sleep 0.05; done
    redis-cli -p "$port" debug populate 100000 key 1000 > /dev/null
    touch listening
    wait
    ;;
  memcached) exec memcached -u root -l 127.0.0.1 -p "$port" -t 4 > server.log 2>&1 ;;
  nginx)
    files
    printf '%s\n' 'worker_processes 2; daemon off; error_log error.log; pid nginx.pid;' 'events { worker_connections 500; }' \
      "http { access_log off; keepalive_requests 100000000; server { listen 127.0.0.1:$port reuseport; listen [::1]:$port; root $PWD/www; } }" > nginx.conf
    exec nginx -p "$PWD" -c "$PWD/nginx.conf" > server.log 2>&1
    ;;
  apache)
    files
    modules=/usr/lib/apache2/modules
    printf '%s\n' "ServerRoot $PWD" "PidFile $PWD/pid" "ServerName localhost" "Listen 127.0.0.1:$port" "LoadModule mpm_prefork_module $modules/mod_mpm_prefork.so" \
      "LoadModule authz_core_module $modules/mod_authz_core.so" "DocumentRoot $PWD/www" "ErrorLog $PWD/error.log" "User nobody" "Group nogroup" \
      'KeepAlive On' 'MaxKeepAliveRequests 0' 'KeepAliveTimeout 60' "DefaultRuntimeDir $PWD" "Mutex file:$PWD" > apache.conf
    exec apache2 -D FOREGROUND -f "$PWD/apache.conf" > server.log 2>&1
    ;;
  mosquitto)
    printf '%s\n' "listener $port 127.0.0.1" 'allow_anonymous true' 'persistence false' 'user root' > mosquitto.conf
    exec mosquitto -c mosquitto.conf > server.log 2>&1
    ;;
  sshd)
    ssh-keygen -q -t ed25519 -N '' -f key
    ssh-keygen -q -t ed25519 -N '' -f host
    mkdir -p /run/sshd
    printf '%s\n' "Port $port" 'ListenAddress 127.0.0.1' "HostKey $PWD/host" "AuthorizedKeysFile $PWD/key.pub" 'StrictModes no' 'UsePAM no' \
      'PermitRootLogin yes' 'PidFile none' > sshd.conf
    exec /usr/sbin/sshd -D -f "$PWD/sshd.conf" > server.log 2>&1
    ;;
  tls)
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2> openssl.log
    exec /usr/bin/python3 "$(dirname "$0")/tlsecho.py" "$port" cert.pem key.pem > server.log 2>&1
    ;;
  postgresql)
    programs=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    mkdir -p data socket && chown postgres data socket
    as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
    as "$programs/initdb" -D "$PWD/data" -A trust --no-sync > initdb.log 2>&1
    printf '%s\n' "listen_addresses='127.0.0.1'" "port=$port" "unix_socket_directories='$PWD/socket'" fsync=off >> data/postgresql.conf
    exec setpriv --reuid=postgres --regid=postgres --clear-groups "$programs/postgres" -D "$PWD/data" > server.log 2>&1
    ;;
esac
