# PostgreSQL, for the tests and benchmarks of a controller's database, which start one of their own. Only they ask for it
# (--only postgres). Its package would make a cluster and start a service; neither is wanted.

postgres_ready() { [ "$only" != postgres ] || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

postgres_bring() {
  have_apt || die 'PostgreSQL is missing: install its server with your package manager, below /usr/lib/postgresql/VERSION/bin'
  local policy=/etc/postgresql-common/createcluster.conf
  say 'installing postgresql with apt-get'
  if [ ! -e "$policy" ]; then
    printf '%s\n' 'create_main_cluster = false' >"$scratch/createcluster.conf"
    as_root install -D -m 644 "$scratch/createcluster.conf" "$policy" || die 'only root may install postgresql: apt-get install postgresql'
  fi
  apt_install postgresql >"$scratch/apt.log" 2>&1 || { tail -n 5 "$scratch/apt.log" >&2; die 'apt-get could not install postgresql; its last lines are above'; }
  postgres_ready || die 'installed postgresql, and still /usr/lib/postgresql/*/bin/initdb is missing'
}
