# The simulated vCenter of the tests: Go and govmomi's simulator come as packages of Debian, are unpacked
# under the cache and never installed, and the program is built there. Only tests that need it ask for it.

vcsim_home="$cache/vcsim"
vcsim_source="$repo/test/managers/vcsim"

# Named by what it was built from.
vcsim_program() { printf '%s/vcsim-%s' "$vcsim_home" "$(cat "$vcsim_source"/*.go | sha256sum | cut -c1-16)"; }

vcsim_ready() { [ -x "$(vcsim_program)" ]; }

vcsim_bring() {
  local go="$vcsim_home/root/usr/lib/go-1.19" program
  program=$(vcsim_program)
  if [ ! -x "$go/bin/go" ]; then
    have_apt && private_apt_update || die 'the simulated vCenter needs Go 1.19 and govmomi as packages of Debian 12'
    say 'fetching Go and the simulator of govmomi'
    download "$scratch/vcsim" golang-1.19-go golang-1.19-src golang-github-google-uuid-dev golang-github-vmware-govmomi-dev ||
      die 'the simulated vCenter cannot be built here: its packages cannot be had'
    mkdir -p "$scratch/vcsim/root" "$vcsim_home"
    local deb
    for deb in "$scratch"/vcsim/*.deb; do
      dpkg-deb --fsys-tarfile "$deb" | tar -C "$scratch/vcsim/root" -x --exclude='*/doc/*'
    done
    rm -rf "$vcsim_home/root"
    mv "$scratch/vcsim/root" "$vcsim_home/root"
  fi
  say 'building the simulated vCenter'
  (cd "$vcsim_source" && env GOROOT="$go" GOPATH="$vcsim_home/root/usr/share/gocode" GO111MODULE=off CGO_ENABLED=0 \
    GOFLAGS=-buildvcs=false GOCACHE="$vcsim_home/build" "$go/bin/go" build -o "$scratch/vcsim-built" .) || die 'the simulated vCenter does not build'
  # Whole, or not there: another checkout may build the same beside this one.
  mv "$scratch/vcsim-built" "$program.$$"
  mv "$program.$$" "$program"
  vcsim_forget_old
}

# Checkouts side by side each have a build of their own; those that were built long ago go.
vcsim_forget_old() {
  local old
  find "$vcsim_home" -maxdepth 1 -name 'vcsim-*' -printf '%T@ %p\n' | sort -rn | tail -n +5 | cut -d' ' -f2- |
    while IFS= read -r old; do rm -f "$old"; done
}
