# A realm of Kerberos and a web server that asks for it, for the tests that our client of WinRM is one that somebody else
# understands: Debian's krb5-kdc, apache2 with mod_auth_gssapi, and gss-ntlmssp for NTLM by the same server. All of it is
# unpacked under the cache with the libraries that it needs, and never installed, since that would start services.

kerberos_home="$cache/kerberos"
kerberos_wanted='krb5-kdc krb5-admin-server krb5-user apache2-bin libapache2-mod-auth-gssapi gss-ntlmssp python3-gssapi libfaketime'

kerberos_ready() {
  local root="$kerberos_home/root"
  command -v python3 >/dev/null && [ -x "$root/usr/sbin/krb5kdc" ] && [ -x "$root/usr/sbin/apache2" ] &&
    [ -e "$root/usr/lib/apache2/modules/mod_auth_gssapi.so" ] && [ -e "$root/usr/lib/python3/dist-packages/gssapi/__init__.py" ] &&
    compgen -G "$root/usr/lib/*/libcom_err.so.2" >/dev/null && compgen -G "$root/usr/lib/*/gssntlmssp/gssntlmssp.so" >/dev/null && compgen -G "$root/usr/lib/*/faketime/libfaketime.so.1" >/dev/null
}

kerberos_bring() {
  local wanted deb
  command -v python3 >/dev/null || die 'the acceptor of Kerberos needs python3'
  have_apt && private_apt_update || die 'the realm of Kerberos needs packages of Debian'
  # As on a machine that has nothing installed; what every machine has stays its own.
  wanted=$(private_apt apt-get -o Dir::State::status=/dev/null -s --no-install-recommends install $kerberos_wanted 2>/dev/null |
    sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -E '^(krb5-|apache2-|lib|gss-|python3-gssapi|python3-decorator)' |
    grep -vE '^lib(c6|crypt1|gcc-s1|stdc\+\+6|python|perl|.*-perl|.*-common)' | sort -u | tr '\n' ' ')
  [ -n "$wanted" ] || die 'apt knows no krb5-kdc'
  say 'fetching a realm of Kerberos and a web server for it'
  download "$scratch/kerberos" $wanted || die 'the realm of Kerberos cannot be had'
  mkdir -p "$scratch/kerberos/root" "$kerberos_home"
  for deb in "$scratch"/kerberos/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$scratch/kerberos/root" -x --exclude='./usr/share' --exclude='./etc' --exclude='./var'
  done
  # Libraries of the base system have a place of their own; a server looks for all of them in one.
  cp -a "$scratch/kerberos/root/lib/." "$scratch/kerberos/root/usr/lib/"
  rm -rf "$kerberos_home/root"
  mv "$scratch/kerberos/root" "$kerberos_home/root"
}
