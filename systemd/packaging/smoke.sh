#!/usr/bin/env bash
# Installs dist/*.deb on this machine, uses it as an integrator would, installs it once more over itself, and removes it.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -e /etc/evce-gateway ] || [ -e /usr/lib/evce-gateway ]; then
    echo "a gateway is installed on this machine: not touched"
    exit 1
fi
trap 'dpkg --purge evce-gateway >/dev/null 2>&1 || true; rm -rf /etc/evce-gateway' EXIT

dpkg --install dist/evce-gateway_*.deb >/dev/null
cd /
evce-gateway --version
test "$(stat -c %a /etc/evce-gateway/secrets)" = 700
getent group evce-gateway >/dev/null
set +e
# The example names a certificate that is not there: that is a finding of the file, told with its place.
evce-gateway check -c /etc/evce-gateway/config.yaml >/tmp/evce-gateway-check 2>&1
code=$?
set -e
if [ "$code" -gt 1 ] || grep -q Traceback /tmp/evce-gateway-check; then
    cat /tmp/evce-gateway-check
    exit 1
fi
timeout 60 evce-gateway demo --seconds 5 | tail -1
gzip -dc /usr/share/man/man1/evce-gateway.1.gz | grep -q 'evidence export'
if command -v systemd-analyze >/dev/null; then
    systemd-analyze verify --man=no /lib/systemd/system/evce-gateway.service
fi

echo "# the site's own line" >> /etc/evce-gateway/config.yaml
cd - >/dev/null
dpkg --install dist/evce-gateway_*.deb >/dev/null </dev/null
grep -q "the site's own line" /etc/evce-gateway/config.yaml
dpkg --remove evce-gateway >/dev/null
test ! -e /usr/lib/evce-gateway/bin/python
grep -q "the site's own line" /etc/evce-gateway/config.yaml
echo "installed, used, upgraded and removed"
