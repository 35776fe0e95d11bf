#!/bin/sh
# janitor.sh BED: waits until nobody holds the other end of its standard input, then removes what the end of the
# namespaces leaves: cgroups (empty by then) and the folder.
cat >/dev/null
name=$(basename "$1")
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  find /sys/fs/cgroup/"$name" /sys/fs/cgroup/*/"$name" -depth -type d -exec rmdir {} + 2>/dev/null
  rm -rf --one-file-system "$1" 2>/dev/null
  [ -e "$1" ] || [ -n "$(find /sys/fs/cgroup -maxdepth 2 -name "$name")" ] || exit 0
  sleep 0.3
done
