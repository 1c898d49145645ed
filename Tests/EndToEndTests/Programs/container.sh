# What runs in a container: jobs, a pipeline, a daemon whose parent is dead, a zombie; all are looked at on demand.
#   bash container.sh DIRECTORY
cd "$1" || exit 2
# Waiting without a child that comes and goes.
exec 9< <(exec sleep 1000)
nap() { read -rt 0.05 -u 9; }
sleep 1000 &
sleep 1000 | cat > /dev/null &
(setsid sleep 1000 < /dev/null > /dev/null 2>&1 &)
# A zombie: nobody but the shell's own child knows of it.
python3 -c 'import os, time
if os.fork() == 0: os._exit(7)
time.sleep(1000)' &
look() {
  # Numbers and names as they are seen inside, and what /proc has of others.
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
# Which pid is the next does not matter, but there has to be one.
(exit 3)
[ $? = 3 ] && [ "$(cat shell)" = $$ ] && diff before after > difference && kill %1 && echo OK > result
