#!/usr/bin/env bash
# Puts ECharts into dashboard/assets/dist, from where it is embedded: the package
# from npm, its version fixed and its digest checked. It is not committed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cache.sh"

version=5.6.0
want=bf4a223524e40b77c304bec67e1222cf551f14880cf42c69dc046558e11c07b1
dist="$here/../dashboard/assets/dist"
file="$dist/echarts.min.js"

sha() { sha256sum "$1" | cut -d ' ' -f 1; }

if [ -s "$file" ] && [ "$(sha "$file")" = "$want" ]; then exit 0; fi
need npm "install Node.js with npm (https://nodejs.org, or a distribution's packages) and try again"
cached="$(cache_root)/echarts/$version/echarts.min.js"
if [ ! -s "$cached" ] || [ "$(sha "$cached")" != "$want" ]; then
	mkdir -p "$(dirname "$cached")"
	new_scratch "$(dirname "$cached")"
	say "fetching echarts $version from npm"
	(cd "$scratch" && npm pack --silent "echarts@$version" >/dev/null) ||
		die "npm could not fetch echarts@$version; check the network and 'npm config get registry'"
	tar -xzf "$scratch/echarts-$version.tgz" -C "$scratch" package/dist/echarts.min.js package/LICENSE
	got=$(sha "$scratch/package/dist/echarts.min.js")
	[ "$got" = "$want" ] || die "echarts $version from npm has SHA-256 $got, not $want: it is not the file that was reviewed, so it is not used"
	mv -f "$scratch/package/dist/echarts.min.js" "$cached"
fi
mkdir -p "$dist"
cp "$cached" "$file.tmp" && mv -f "$file.tmp" "$file"
say "echarts $version is in place"
