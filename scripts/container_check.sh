#!/usr/bin/env bash
# Builds the image, runs it with a real Postgres, and checks the promises of the Dockerfile. Removes all containers.
# Use: [CONTAINER_ENGINE=docker|podman] [BUILD_ARGUMENTS="…"] [POSTGRES_IMAGE=postgres:17] make container
set -euo pipefail
cd "$(dirname "$0")/.."

engine=${CONTAINER_ENGINE:-docker}
postgres_image=${POSTGRES_IMAGE:-postgres:17}
image=dots-gateway:check
run="dots-gateway-check-$$" # prefix of the names of all containers and of the network
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
secret="whsec_$(head -c 24 /dev/urandom | base64)"
hardened=(--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges)
settings=(
  --env "DATABASE_URL=postgresql://dots_gateway:$password@$run-db:5432/dots_gateway"
  --env DOTS_API_URL=http://127.0.0.1:9/api --env DOTS_CLIENT_ID=pk_dev_check --env DOTS_API_KEY=sk_dev_check
  --env "DOTS_WEBHOOK_SECRETS=$secret"
)

clean_up() {
  local status=$? part
  for part in worker api migrate db; do
    if [ "$status" != 0 ]; then "$engine" logs --tail 20 "$run-$part" 2>&1 | sed "s/^/$part: /" || true; fi
    "$engine" rm --force --volumes "$run-$part" >/dev/null 2>&1 || true
  done
  "$engine" network rm "$run" >/dev/null 2>&1 || true
}
trap clean_up EXIT

passed() { printf 'ok   %s\n' "$*"; }
failed() { printf 'FAIL %s\n' "$*" >&2; exit 1; }
start() { # start NAME COMMAND...: starts a hardened container of the image in the background
  local name=$1; shift
  "$engine" run --detach --name "$run-$name" --network "$run" "${hardened[@]}" "${settings[@]}" "$image" "$@" >/dev/null
}
wait_until() { # wait_until DESCRIPTION SECONDS COMMAND...: waits until the command succeeds
  local what=$1 deadline=$((SECONDS + $2)); shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || failed "$what"
    sleep 0.5
  done
  passed "$what"
}
probe() { "$engine" exec --interactive "$run-api" python - "$@" --secret "$secret" <scripts/container_probe.py; }
stored() { # stored ID: prints the number of rows of the webhook
  "$engine" exec --env "PGPASSWORD=$password" "$run-db" psql --host=127.0.0.1 --username=dots_gateway \
    --tuples-only --no-align --command "SELECT count(*) FROM webhooks WHERE message_id = '$1'"
}
is_healthy() {
  if [ "$engine" = podman ]; then podman healthcheck run "$run-api"
  else [ "$("$engine" inspect --format '{{.State.Health.Status}}' "$run-api")" = healthy ]; fi
}
drains() { # drains NAME: checks that the container ends within 25 s of SIGTERM, with status 0
  local began=$SECONDS status
  "$engine" stop --time 30 "$run-$1" >/dev/null
  status=$("$engine" inspect --format '{{.State.ExitCode}}' "$run-$1")
  [ "$status" = 0 ] || failed "$1 ended with status $status after SIGTERM"
  [ $((SECONDS - began)) -lt 25 ] || failed "$1 took $((SECONDS - began)) s to drain"
  passed "$1 drained after SIGTERM in $((SECONDS - began)) s, status 0"
}

# shellcheck disable=SC2086 # BUILD_ARGUMENTS may hold several arguments
"$engine" build ${BUILD_ARGUMENTS:-} --tag "$image" .
passed "image built: $(($("$engine" image inspect --format '{{.Size}}' "$image") / 1000000)) MB"

"$engine" network create "$run" >/dev/null
"$engine" run --detach --name "$run-db" --network "$run" --env POSTGRES_USER=dots_gateway \
  --env "POSTGRES_PASSWORD=$password" "$postgres_image" >/dev/null
wait_until "Postgres answers" 60 "$engine" exec "$run-db" pg_isready --host=127.0.0.1 --username=dots_gateway

start migrate migrate
[ "$("$engine" wait "$run-migrate")" = 0 ] || failed "migrate"
passed "migrate ended with status 0"

start api
start worker worker
wait_until "/livez answers 200" 30 probe answers /livez
wait_until "/readyz answers 200" 30 probe answers /readyz
wait_until "the image's health check passes" 60 is_healthy

probe receives msg_check || failed "webhooks"
[ "$(stored msg_check)" = 1 ] || failed "the signed webhook is not one row"
passed "a signed webhook is stored once, a forged one is refused"
probe is_locked_down /opt/dots-gateway/probe || failed "user, file system or packages"
passed "not root, read-only root file system, no development packages"

[ "$("$engine" inspect --format '{{.State.Running}}' "$run-worker")" = true ] || failed "worker does not run"
drains worker
# Process 1 ends soon after its answer, which may kill the probe, so its output counts and not its exit status.
taken=$(probe drains msg_drain || true)
[ "$taken" = yes ] || failed "the webhook in flight at SIGTERM was not answered 204"
[ "$(stored msg_drain)" = 1 ] || failed "the webhook in flight at SIGTERM is not one row"
passed "a webhook in flight at SIGTERM is stored and answered 204"
drains api
echo "container check passed"
