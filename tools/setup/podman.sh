# podman 5 with its helpers, and CRIU with the library that crun opens at run time: of Debian's sid, in Godwit's own cache with
# the libraries and the C library that they need. The system's own programs stay as they are. Only tests of podman's containers
# and operators who try them ask for it (--only podman).

podman_home="$cache/podman"
# Versions that were tried. A newer one is a warning, not a failure.
podman_tried='podman=5.8.6+ds1-3 crun=1.28-1 conmon=2.1.13+ds1-2 netavark=1.17.2-3 runc=1.3.6+ds1-1 criu=4.2.1-1 libcriu2=4.2.1-1'

podman_ready() { [ -s "$podman_home/unavailable" ] || [ -x "$podman_home/bin/podman" ]; }

podman_bring() {
  local home="$scratch/podman"
  mkdir -p "$podman_home"
  if [ "$(distribution ID)" != debian ] || [ "$(uname -m)" != x86_64 ] || ! have_apt; then
    echo 'podman is brought from Debian, and only for x86_64' >"$podman_home/unavailable"
    say 'no podman; tests of its containers will fail'
    return 0
  fi
  if ! sid_update || ! podman_download || ! sid_programs "$scratch/podman.debs" "$home" "$podman_home" podman crun conmon netavark runc criu; then
    say 'no podman this time; tests of its containers will fail'
    return 0
  fi
  rm -rf "$podman_home"
  mv "$home" "$podman_home"
  "$podman_home/bin/podman" --version >/dev/null 2>"$scratch/podman.log" || say "podman does not start: $(head -n 1 "$scratch/podman.log")"
}

podman_download() {
  local each name wanted=''
  for each in $podman_tried; do
    name=${each%%=*}
    if sid_apt apt-cache madison "$name" 2>/dev/null | grep -qF " ${each#*=} "; then
      wanted="$wanted $each"
    else
      say "$name ${each#*=} is not offered any more; taking $(sid_apt apt-cache policy "$name" | sed -n 's/^ *Candidate: //p'), which was never tried"
      wanted="$wanted $name"
    fi
  done
  sid_download "$scratch/podman.debs" podman 'podman|crun|conmon|netavark|runc|criu' $wanted
}
