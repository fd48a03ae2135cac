# WinRM's shell by a package of Debian that knows nothing of Godwit (golang-github-dylanmei-winrmtest-dev): Go and the package
# are unpacked under the cache and never installed, and a program around it is built there. Only its test asks for it.

winrmtest_home="$cache/winrmtest"
winrmtest_source="$repo/test/managers/winrmtest/main.go"

winrmtest_ready() { [ -x "$winrmtest_home/winrmtest" ] && cmp -s "$winrmtest_source" "$winrmtest_home/main.go"; }

winrmtest_bring() {
  local go="$scratch/winrmtest/root/usr/lib/go-1.19" deb
  have_apt && private_apt_update || die 'the shell of WinRM needs Go 1.19 and winrmtest as packages of Debian 12'
  say 'fetching Go and winrmtest'
  download "$scratch/winrmtest" golang-1.19-go golang-1.19-src golang-github-dylanmei-winrmtest-dev \
    golang-github-gofrs-uuid-dev golang-github-masterzen-simplexml-dev golang-github-masterzen-xmlpath-dev ||
    die 'the shell of WinRM cannot be built here: its packages cannot be had'
  mkdir -p "$scratch/winrmtest/root" "$winrmtest_home"
  for deb in "$scratch"/winrmtest/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$scratch/winrmtest/root" -x --exclude='*/doc/*'
  done
  env GOROOT="$go" GOPATH="$scratch/winrmtest/root/usr/share/gocode" GO111MODULE=off CGO_ENABLED=0 GOFLAGS=-buildvcs=false \
    GOCACHE="$scratch/winrmtest/build" "$go/bin/go" build -o "$scratch/winrmtest/built" "$winrmtest_source" ||
    die 'the shell of WinRM does not build'
  mv "$scratch/winrmtest/built" "$winrmtest_home/winrmtest"
  cp "$winrmtest_source" "$winrmtest_home/main.go"
}
