# Prometheus and promtool, for the test of the alert rules: from Debian's package, unpacked under the cache and never
# installed, since that would start a service. Only that test asks for it (--only prometheus).

prometheus_ready() { [ -x "$cache/prometheus/promtool" ]; }

prometheus_bring() {
  have_apt && private_apt_update || die 'the test of the alert rules needs Prometheus as a package of Debian'
  say 'fetching Prometheus'
  download "$scratch/prometheus" prometheus || die 'Prometheus cannot be had'
  mkdir -p "$scratch/prometheus/root"
  dpkg-deb --fsys-tarfile "$scratch"/prometheus/*.deb | tar -C "$scratch/prometheus/root" -x ./usr/bin
  mv "$scratch/prometheus/root/usr/bin" "$cache/prometheus"
}
