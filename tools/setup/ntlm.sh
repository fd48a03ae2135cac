# Debian's own acceptor of NTLM, for the test that our NTLM is one that somebody else understands: gss-ntlmssp with its binding
# for Python. Its packages are unpacked under the cache and never installed.

ntlm_home="$cache/ntlm"

ntlm_ready() {
  command -v python3 >/dev/null && [ -e "$ntlm_home/root/usr/lib/python3/dist-packages/gssapi/__init__.py" ] &&
    compgen -G "$ntlm_home/root/usr/lib/*/gssntlmssp/gssntlmssp.so" >/dev/null
}

ntlm_bring() {
  command -v python3 >/dev/null || die 'the acceptor of NTLM needs python3'
  have_apt && private_apt_update || die 'the acceptor of NTLM needs packages of Debian 12'
  say 'fetching an acceptor of NTLM'
  download "$scratch/ntlm" gss-ntlmssp python3-gssapi || die 'the acceptor of NTLM cannot be had here'
  mkdir -p "$scratch/ntlm/root" "$ntlm_home"
  local deb
  for deb in "$scratch"/ntlm/*.deb; do dpkg-deb -x "$deb" "$scratch/ntlm/root"; done
  rm -rf "$ntlm_home/root"
  mv "$scratch/ntlm/root" "$ntlm_home/root"
}
