#!/usr/bin/env bash
# Moves the notes service from .env to strongroom in a scratch directory, with the service's real requests as the check.
# Needs `strongroom` and `python3` on the PATH. Ends with the word "moved", or with what went wrong.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Not below /tmp: there strongroom finds no store, as anybody could have put it there.
case ${TMPDIR:-/tmp} in /tmp*) export TMPDIR=$HOME/.cache ;; esac
mkdir -p "$TMPDIR"
scratch=$(mktemp -d)
app_pid="" mail_pid=""

stop() { [ -z "$1" ] || { kill "$1" && wait "$1"; } 2>/dev/null || true; }
clean_up() { stop "$app_pid"; stop "$mail_pid"; rm -rf "$scratch"; }
trap clean_up EXIT

say() { printf '\n== %s\n' "$*"; }
fail() { echo "failed: $*" >&2; exit 1; }
client() { python3 "$here/client.py" "$@"; }
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
free_port() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_app() {
    python3 app.py &
    app_pid=$!
    for _ in $(seq 100); do
        if client GET /health >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    fail "the service does not answer"
}

check_that_the_service_works() {
    client GET /notes | grep -q "remember the milk" || fail "the note is gone"
    client POST /mail '{"id": 1, "to": "ada@example.org"}' >/dev/null || fail "the mail server refused"
}

# Nothing of the caller's may answer in place of .env or of the new store.
unset DATABASE_PASSWORD JWT_SECRET SMTP_PASSWORD SECRETS_MASTER_KEY TOKEN
for variable in "${!STRONGROOM_@}"; do unset "$variable"; done
cd "$scratch"
PORT=$(free_port) SMTP_PORT=$(free_port)
export PORT SMTP_PORT

say "before: the service reads .env"
cp "$here/before/app.py" app.py
cp "$here/env.sample" .env
printf '%s' 'sample$mail\password' >mail_password
python3 "$here/mail_server.py" &
mail_pid=$!
start_app
TOKEN=$(client POST /login '{"user": "ada"}' | field token)
export TOKEN
client POST /notes '{"text": "remember the milk"}'
check_that_the_service_works
stop "$app_pid"

say "1. the code asks strongroom first; without a store it still reads .env"
cp "$here/after/app.py" app.py
diff "$here/before/app.py" app.py || true
start_app
check_that_the_service_works
stop "$app_pid"

say "2. strongroom init, strongroom import .env"
SECRETS_MASTER_KEY=$(strongroom keygen)
export SECRETS_MASTER_KEY
strongroom init
strongroom import .env
strongroom list >names
for name in DATABASE_PASSWORD JWT_SECRET SMTP_PASSWORD; do
    grep -qw "$name" names || fail "$name was not imported"
done
[ "$(strongroom get SMTP_PASSWORD)" = 'sample$mail\password' ] || fail "SMTP_PASSWORD changed on the way"

say "3. delete .env; the token, the notes and the mail of before still work"
rm .env
start_app
check_that_the_service_works

say "4. strongroom rotate JWT_SECRET: tokens of before end, without a restart"
strongroom rotate JWT_SECRET --generate
strongroom audit log >audit
grep -q ROTATE audit || fail "the rotation is not on record"
if client GET /notes 2>refused; then fail "a token under the old JWT_SECRET was accepted"; fi
grep -q "status 401" refused || fail "expected 401, got: $(cat refused)"
TOKEN=$(client POST /login '{"user": "ada"}' | field token)
check_that_the_service_works

say "5. strongroom set SMTP_PASSWORD: the mail server gave us a new one"
printf '%s' 'sample-of-another' >mail_password
if client POST /mail '{"id": 1, "to": "ada@example.org"}' 2>refused; then fail "the old password was accepted"; fi
grep -q "status 502" refused || fail "expected 502, got: $(cat refused)"
strongroom set SMTP_PASSWORD <mail_password
check_that_the_service_works

say "6. strongroom audit log: each access is on record, and no value is"
strongroom audit log >audit
head -n 5 audit
grep -q 'GET.*SMTP_PASSWORD' audit || fail "the service's read is not on record"
rm mail_password
if grep -rF -e 'sample # of' -e 'sample-' -e 'sample$mail' .; then fail "a value lies in the clear"; fi

printf '\nmoved\n'
