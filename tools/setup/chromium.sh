# Chromium, for the tests of the dashboard, which look at it as a person's browser does. Only they ask for it (--only chromium).

chromium_ready() { [ "$only" != chromium ] || command -v chromium >/dev/null; }

chromium_bring() {
  have_apt || die 'Chromium is missing: install it with your package manager, as the command chromium'
  say 'installing chromium with apt-get'
  apt_install chromium >"$scratch/apt.log" 2>&1 || { tail -n 5 "$scratch/apt.log" >&2; die 'apt-get could not install chromium; its last lines are above'; }
  chromium_ready || die 'installed chromium, and still there is no command of that name'
}
