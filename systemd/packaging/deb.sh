#!/usr/bin/env bash
# Builds dist/evce-gateway_VERSION_ARCH.deb out of dist/wheels (`make deb`): units, example configuration, mappings,
# man page, and a virtual environment on the system's Python. Nothing is fetched here.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=/usr/bin/python3
at=/usr/lib/evce-gateway
root=build/deb
umask 022

"$python" -c 'import ensurepip, venv' || { echo "needs Debian's python3-venv"; exit 1; }
rm -rf "$root"
mkdir -p "$root$at" "$root/usr/bin" "$root/lib/systemd/system" "$root/DEBIAN" "$root/etc/evce-gateway/secrets" \
    "$root/usr/share/man/man1" "$root/usr/share/doc/evce-gateway"

"$python" -m venv "$root$at"
"$root$at/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --no-index \
    --find-links dist/wheels --require-hashes -r dist/wheels/requirements.txt
"$root$at/bin/python" systemd/packaging/man.py | gzip -9n > "$root/usr/share/man/man1/evce-gateway.1.gz"
"$root$at/bin/python" -m pip uninstall --quiet --yes setuptools pip
# It was made here and runs there.
grep -rlIZ "$PWD/$root" "$root$at/bin" "$root$at/pyvenv.cfg" | xargs -0 sed -i "s|$PWD/$root||g"
find "$root" -name __pycache__ -prune -exec rm -rf {} +
"$python" -m compileall -q --invalidation-mode unchecked-hash -s "$root" "$root$at/lib"
ln -s "..${at#/usr}/bin/evce-gateway" "$root/usr/bin/evce-gateway"

cp systemd/*.service "$root/lib/systemd/system/"
cp config.example.yaml "$root/etc/evce-gateway/config.yaml"
cp -r mappings "$root/etc/evce-gateway/"
chmod 700 "$root/etc/evce-gateway/secrets"
cp LICENSE "$root/usr/share/doc/evce-gateway/copyright"
cp README.md "$root/usr/share/doc/evce-gateway/"
(cd "$root" && find etc -type f -printf '/%p\n' | sort > DEBIAN/conffiles)

cp systemd/packaging/debian/{postinst,prerm,postrm} "$root/DEBIAN/"
version=$("$python" -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')
architecture=$(dpkg --print-architecture)
minor=$("$python" -c 'import sys; print(sys.version_info.minor)')
sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@PYTHON@/3.$minor/; s/@PYTHON_NEXT@/3.$((minor + 1))/" \
    -e "s/@SIZE@/$(du -sk "$root" | cut -f1)/" systemd/packaging/debian/control > "$root/DEBIAN/control"
mkdir -p dist
dpkg-deb --build --root-owner-group -Zxz "$root" "dist/evce-gateway_${version}_$architecture.deb"
