#!/usr/bin/env bash
# The second half of run.sh, in namespaces of its own: inside.sh SCRATCH COMPOSE PROJECT
set -euo pipefail
scratch=$1 composeBinary=$2 project=$3
here=$project/test/container
site=$scratch/site

step() { printf '%s  %s\n' "$(date +%T)" "$*"; }
ok() { echo "          ok: $*"; }
fail() {
  echo "FAILED: $*"
  tail -n 20 "$scratch"/{log,up.log,api.log} 2>/dev/null || true
  compose logs --no-color --tail 40 2>/dev/null || true
  exit 1
}
expect() { # expect WHAT WANTED GOT
  [ "$2" = "$3" ] && ok "$1" || fail "$1: wanted '$2', got '$3'"
}

mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
export NOFILE=$(ulimit -Hn)
export DISABLE_HC_SYSTEMD=true DOCKER_HOST=unix://$scratch/api.sock
podman system service --time=0 "$DOCKER_HOST" >"$scratch/api.log" 2>&1 &
for _ in $(seq 100); do [ -S "$scratch/api.sock" ] && break || sleep 0.1; done
# Without systemd nobody runs the health checks.
(while sleep 1; do for id in $(podman ps -q 2>/dev/null); do podman healthcheck run "$id" >/dev/null 2>&1 || true; done; done) &

compose() { (cd "$site" && "$composeBinary" "$@"); }
up=(up --detach --no-build --pull never --wait --wait-timeout 60)
state() { podman inspect --format "$2" "postern-$1-1" 2>/dev/null; }
inPostern() { podman exec postern-postern-1 "$@"; }
stopped() { # stopped SERVICE: ends it with SIGTERM and prints its exit code
  compose stop --timeout 20 "$1" >/dev/null 2>&1
  state "$1" '{{.State.ExitCode}}'
}

# What docs/docker.md tells the operator to make.
cp -a "$project/deploy" "$site"
mkdir -p "$site"/{certs,secrets}
(
  cd "$site/certs"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=stand-in -addext 'subjectAltName=DNS:*.example.com' \
    -keyout privkey.pem -out fullchain.pem 2>/dev/null
)
for name in session_secret storage_encryption_key; do openssl rand -hex 32 >"$site/secrets/$name"; done
echo DITESTTESTTESTTESTTE >"$site/secrets/duo_integration_key"
export SIMULATOR_SECRET_KEY=$(openssl rand -hex 20)
printf %s "$SIMULATOR_SECRET_KEY" >"$site/secrets/duo_secret_key"
chown -R 1000 "$site/secrets" && chmod 400 "$site"/secrets/*
hash=$(podman run --rm --network none --entrypoint node postern:latest -e "require('argon2').hash('postern').then(console.log)")
cat >"$site/config/users.yml" <<END
users:
  alice:
    displayname: Alice
    password: '$hash'
    email: alice@example.com
    groups: [staff]
END
# The Duo simulator, from the same image, in the network of Postern.
sed -i 's/^  hostname: .*/  hostname: duo:8443\n  ca_file: \/duo\/ca.pem/' "$site/config/configuration.yml"
cp "$here/compose.override.yml" "$site/compose.override.yml"

compose config --quiet || fail 'the compose file is not valid'

step 'negative: a configuration that is not valid starts nothing'
sed -i.good 's/^  default_policy: deny/  default_polcy: deny/' "$site/config/configuration.yml"
# Compose starts it again and again, and waits; so it is ended here.
(cd "$site" && exec "$composeBinary" "${up[@]}") >"$scratch/up.log" 2>&1 &
upPid=$!
names() { compose logs --no-color postern 2>/dev/null | grep -c default_polcy || true; }
for _ in $(seq 60); do [ "$(names)" -gt 1 ] && break || sleep 1; done
[ "$(names)" -gt 1 ] && ok 'its log names the key, at each start' || fail 'its log does not name the key'
kill -0 "$upPid" 2>/dev/null && ok 'compose up does not say that all is well' || ! wait "$upPid" || fail 'compose up says that all is well'
expect 'nginx waits for Postern' false "$(state nginx '{{.State.Running}}')"
kill "$upPid" 2>/dev/null || true
wait "$upPid" 2>/dev/null || true
compose down --timeout 2 --volumes >/dev/null 2>&1
code=0
podman run --rm --read-only --network none -v "$site/config:/config:ro" postern:latest >"$scratch/log" 2>&1 || code=$?
expect 'Postern ends with' 1 "$code"
mv "$site/config/configuration.yml.good" "$site/config/configuration.yml"

step 'all of deploy/compose.yml is healthy'
compose "${up[@]}" >"$scratch/up.log" 2>&1 || { cat "$scratch/up.log"; fail 'compose up'; }
expect 'Postern is' healthy "$(state postern '{{.State.Healthcheck.Status}}{{.State.Health.Status}}' | sed 's/healthyhealthy/healthy/')"

step 'what the image and the compose file promise'
expect 'user' 1000 "$(inPostern id -u)"
expect 'capabilities' 0000000000000000 "$(inPostern sh -c "sed -n 's/^CapEff:\t//p' /proc/1/status")"
expect 'no new privileges' 1 "$(inPostern sh -c "sed -n 's/^NoNewPrivs:\t//p' /proc/1/status")"
expect 'core dumps' 0 "$(inPostern sh -c "sed -n 's/^Max core file size *\([0-9a-z]*\).*/\1/p' /proc/1/limits")"
write() { inPostern node -e "try { fs.writeFileSync('$1', ''); console.log('written') } catch (e) { console.log(e.code) }"; }
for place in /app/x /etc/x /config/x; do expect "a write to $place" EROFS "$(write $place)"; done
expect 'a write to /data' written "$(write /data/x)"
expect 'memory' 536870912 "$(state postern '{{.HostConfig.Memory}}')"
expect 'processes' 100 "$(state postern '{{.HostConfig.PidsLimit}}')"
expect 'development packages in the image' '' "$(inPostern sh -c 'ls -d node_modules/typescript node_modules/vitest node_modules/node src test .git 2>/dev/null || true')"
for secret in "$site"/secrets/*; do
  { podman inspect postern-postern-1; podman history --no-trunc postern:latest; inPostern sh -c "tr '\0' '\n' </proc/1/environ; cat /proc/1/cmdline"; } | grep -qF "$(cat "$secret")" &&
    fail "$(basename "$secret") can be read from outside" || true
done
ok 'no secret in environment, arguments or image'
expect 'environment in a diagnostic report' false "$(inPostern node -p "'environmentVariables' in process.report.getReport()")"

step 'a person signs in through nginx'
addressOf() { state "$1" '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' | cut -d' ' -f1; }
proxy=$(addressOf nginx)
visit() { node "$here/visit.mjs" "$proxy" "$site/certs/fullchain.pem" "$scratch/cookies" "$@"; }
visit sign-in || fail 'the visit'

step 'a new container with the same state: still signed in'
compose "${up[@]}" --force-recreate postern >"$scratch/up.log" 2>&1 || { cat "$scratch/up.log"; fail 'compose up'; }
visit signed-in || fail 'the session was lost'

step 'SIGTERM ends it cleanly'
began=$(date +%s)
expect 'exit code' 0 "$(stopped postern)"
[ $(($(date +%s) - began)) -le 10 ] && ok 'within ten seconds' || fail 'it took longer than ten seconds'
visit unreachable || fail 'nginx lets a visitor in while Postern is down'

compose down --timeout 5 --volumes >/dev/null 2>&1

step 'the same behind Traefik'
compose() { (cd "$site" && "$composeBinary" --file compose.traefik.yml --file compose.override.yml "$@"); }
compose "${up[@]}" >"$scratch/up.log" 2>&1 || fail 'compose up'
proxy=$(addressOf traefik)
visit sign-in || fail 'the visit'
expect 'exit code' 0 "$(stopped postern)"
visit unreachable || fail 'Traefik lets a visitor in while Postern is down'
compose down --timeout 5 --volumes >/dev/null 2>&1
