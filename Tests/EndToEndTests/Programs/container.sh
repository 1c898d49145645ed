# What runs in a container: jobs, a pipeline, a daemon whose parent is dead, a zombie; all are looked at on demand.
#   bash container.sh DIRECTORY
cd "$1" || exit 2
# Waiting without a child that comes and goes.
exec 9< <(exec sleep 1000)
nap() { read -rt 0.05 -u 9; }
sleep 1000 &
sleep 1000 | cat > /dev/null &
(setsid sleep 1000 < /dev/null > /dev/null 2>&1 &)
# A zombie: a child of the shell's child.
python3 -c 'import os, time
if os.fork() == 0: os._exit(7)
time.sleep(1000)' &
look() {
  # Numbers and names inside the namespace, and the processes in its /proc.
  for stat in /proc/[0-9]*/stat; do
    read -r pid name state parent group session rest 2> /dev/null < "$stat" || continue
    case $name in "(sleep)" | "(cat)" | "(python3)") echo "$pid $name $parent $group $session" ;; esac
  done | sort -n
}
until look > before && [ "$(wc -l < before)" = 7 ] && grep -q Z /proc/[0-9]*/stat 2> /dev/null; do nap; done
echo $$ > shell
: > ready
until [ -e finish ]; do nap; done
look > after
# Any next pid is right, but there has to be one.
(exit 3)
[ $? = 3 ] && [ "$(cat shell)" = $$ ] && diff before after > difference && kill %1 && echo OK > result
