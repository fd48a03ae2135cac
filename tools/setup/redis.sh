# Redis, for the test of a container with a real workload: Debian's packages, with the libraries that they need, unpacked
# where the layers of the lab's containers lie. Never installed, since that would start a service. Only that test asks for
# it (--only redis).

redis_layer="$cache/containers-lab/layers/redis"

redis_ready() { [ -x "$redis_layer/usr/bin/redis-server" ]; }

redis_bring() {
  local wanted deb place
  have_apt && private_apt_update || die 'the test of a container with Redis needs packages of Debian'
  # As on a machine that has nothing installed: the container has nothing of this one.
  wanted=$(private_apt apt-get -o Dir::State::status=/dev/null -s --no-install-recommends install redis-server 2>/dev/null |
    sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -E '^(redis-|lib)' | sort -u | tr '\n' ' ')
  [ -n "$wanted" ] || die 'apt knows no redis-server'
  say "fetching Redis: ${wanted% }"
  download "$scratch/redis" $wanted || die 'Redis cannot be had'
  mkdir -p "$scratch/redis.tree" "$(dirname "$redis_layer")"
  for deb in "$scratch"/redis/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$scratch/redis.tree" -x --exclude='./usr/share' --exclude='./etc' \
      --exclude='./var' --exclude='*sbin' --exclude='*perl*' --exclude='*gconv'
  done
  for place in proc sys dev tmp data; do mkdir -p "$scratch/redis.tree/$place"; done
  rm -rf "$redis_layer"
  mv "$scratch/redis.tree" "$redis_layer"
}
