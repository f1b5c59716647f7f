#!/bin/bash
# Postern as a peer of the paired comparisons. BENCH is the folder of the load
# generators, whose contract peer-lib.sh describes; POSTERN the binary, or on PATH.
. "$BENCH/peer-lib.sh"
B=${1:-20600}
P=${POSTERN:-postern}
need "$P"
need curl
i=0
for door in REST SUBMISSION SUBMISSIONS MX IMAP IMAPS; do
  export "POSTERN_${door}_LISTEN=127.0.0.1:$((B + i))"
  i=$((i + 1))
done
export POSTERN_LIMITS_REQUESTS_SEND=0 POSTERN_LIMITS_REQUESTS_READ=0 POSTERN_LIMITS_REQUESTS_CHANGE=0
"$P" quickstart --data "$D/data" --domain bench.example --account "$U" --json >"$D/banner.json" 2>"$D/log" &
PID=$!
waitport "$B"
for _ in $(seq 100); do [ -s "$D/banner.json" ] && break || sleep 0.1; done
field() { grep -o "\"$1\": *\"[^\"]*\"" "$D/banner.json" | head -1 | cut -d'"' -f4; }
key() { grep -o "\"$1\": *\"bm_[^\"]*\"" "$D/banner.json" | cut -d'"' -f4; }
URL=$(field rest)
ADMIN=$(key admin)
KEY=$(key domain)
for id in $(curl -s -H "Authorization: Bearer $ADMIN" "$URL/api-keys" | grep -o '"id":"[^"]*"' | cut -d'"' -f4); do
  curl -s -o "$D/patch" -X PATCH -H "Authorization: Bearer $ADMIN" -H 'Content-Type: application/json' \
    -d '{"rate_limit":0,"recipient_limit":0}' "$URL/api-keys/$id"
done
emit NAME postern DIR "$D" PID $PID PIDS $PID SMTP "$(field mx)" SUBMISSION "$(field submission)" IMAP "$(field imap)" \
  RCPT "$U" USER "$U" PASS "$(key account)" SEND_URL "$URL/emails" SEND_AUTH "Authorization: Bearer $KEY" \
  COUNT "curl -s -H \"Authorization: Bearer $KEY\" \"$URL/emails?limit=1&email=$U\" | tr , \\\\n | grep -m1 total | tr -dc 0-9" \
  STOP "kill $PID; sleep 1; rm -rf $D"
