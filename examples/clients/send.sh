#!/usr/bin/env bash
# Sends an email, waits until it arrives, and shows it: curl and nothing else.
set -euo pipefail
url=${CENTERLEAP_URL:-http://127.0.0.1:8080}
me=${CENTERLEAP_EMAIL:-bot@demo.localhost}
to=${CENTERLEAP_TO:-$me}
ask() { curl --silent --show-error --fail-with-body -H "Authorization: Bearer $CENTERLEAP_API_KEY" -H 'Content-Type: application/json' "$@"; }

subject="Hello from curl $RANDOM$RANDOM"
# The Idempotency-Key makes it safe to try again: the email is sent once.
ask "$url/emails" -H "Idempotency-Key: $subject" --retry 3 --retry-all-errors \
  -d "{\"from\":\"$me\",\"to\":\"$to\",\"subject\":\"$subject\",\"text\":\"It works.\"}"
echo
for _ in $(seq 50); do
  found=$(ask --get "$url/emails" --data-urlencode "q=\"$subject\"" --data-urlencode "email=$to")
  case $found in *'"total":0'*) sleep 0.2 ;; *) echo "$found"; exit 0 ;; esac
done
echo 'it did not arrive' >&2
exit 1
