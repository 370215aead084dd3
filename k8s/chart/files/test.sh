#!/bin/sh
# helm test: signs in as the operator, makes two tenants, makes and reads a record in one and takes a snapshot of it, is refused
# in the other, deletes both. Needs sh and curl. GATEWAY, BASE_DOMAIN, OPERATOR_HOST, OPERATOR_EMAIL, OPERATOR_PASSWORD come by the environment.
set -eu
umask 077
work=$(mktemp -d /tmp/test.XXXXXX)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2 && exit 1; }
# call HOST METHOD PATH [BODY]: status in $code, answer in $work/answer. The token comes by a file, not by an argument.
call() {
  printf 'header = "authorization: Bearer %s"\n' "$token" >"$work/curl"
  [ -n "$token" ] || : >"$work/curl"
  code=$(printf '%s' "${4:-}" | curl -sS -m 20 -K "$work/curl" -o "$work/answer" -w '%{http_code}' -X "$2" -H "host: $1" \
    -H 'content-type: application/json' ${4:+--data-binary @-} "$GATEWAY$3") || code=000
}
ok() { call "$@" && [ "$code" = 200 ] || fail "$2 $3 on $1 answered $code: $(cat "$work/answer" 2>/dev/null)"; }
field() { grep -o "\"$1\": *\"[^\"]*\"" "$work/answer" | head -n1 | cut -d'"' -f4; }

token=
ok "$OPERATOR_HOST" POST /v1/auth:signIn "{\"email\": \"$OPERATOR_EMAIL\", \"password\": \"$OPERATOR_PASSWORD\"}"
operator=$(field accessToken)
[ -n "$operator" ] || fail "no access token for the operator"
echo "signed in as $OPERATOR_EMAIL"

password=$(head -c 18 /dev/urandom | od -An -tx1 | tr -d ' \n')
run=$(head -c 4 /dev/urandom | od -An -tx1 | tr -d ' \n')
# finished HOST WHAT: waits for the operation in the last answer.
finished() {
  operation=$(field name) n=0
  until grep -q '"done": *true' "$work/answer"; do
    n=$((n + 1)) && [ "$n" -lt 60 ] || fail "$2 is not done after 60 s: $(cat "$work/answer")"
    sleep 1
    ok "$1" GET "/v1/$operation"
  done
}
# tenant SLUG: onboards it and signs its owner in; the token is left in $owner.
tenant() {
  token=$operator
  ok "$OPERATOR_HOST" POST "/v1/tenants?adminEmail=owner@$1.example&adminDisplayName=Test" "{\"slug\": \"$1\", \"displayName\": \"helm test\"}"
  finished "$OPERATOR_HOST" "the onboarding of $1"
  link=$(field inviteUri)
  [ -n "$link" ] || fail "onboarding of $1 gave no invitation: $(cat "$work/answer")"
  token='' n=0
  while :; do # the route of a new tenant reaches every gateway within two seconds
    call "$1.$BASE_DOMAIN" POST /v1/auth:acceptLink "{\"linkToken\": \"${link##*token=}\", \"password\": \"$password\"}"
    [ "$code" != 200 ] || break
    n=$((n + 1)) && [ "$n" -lt 15 ] || fail "the invitation to $1 answered $code: $(cat "$work/answer")"
    sleep 1
  done
  ok "$1.$BASE_DOMAIN" POST /v1/auth:signIn "{\"email\": \"owner@$1.example\", \"password\": \"$password\"}"
  owner=$(field accessToken)
}
a=helm-a-$run b=helm-b-$run
tenant "$a" && a_token=$owner
tenant "$b" && b_token=$owner
echo "made $a and $b"

token=$a_token
ok "$a.$BASE_DOMAIN" POST /v1/objectTypes '{"name": "objectTypes/notes", "displayName": "Notes", "fields": [{"fieldId": "title", "type": "FIELD_TYPE_STRING", "maxLength": 50}]}'
ok "$a.$BASE_DOMAIN" POST /v1/objectTypes/notes/records '{"fields": {"title": "hello"}}'
record=$(field name)
ok "$a.$BASE_DOMAIN" GET "/v1/$record"
[ "$(field title)" = hello ] || fail "the record reads $(cat "$work/answer")"
ok "$a.$BASE_DOMAIN" PATCH "/v1/$record" '{"fields": {"title": "changed"}}'
ok "$a.$BASE_DOMAIN" GET "/v1/$record"
[ "$(field title)" = changed ] || fail "the changed record reads $(cat "$work/answer")"
echo "made, read and changed $record"

ok "$a.$BASE_DOMAIN" POST /v1/snapshots '{}'
finished "$a.$BASE_DOMAIN" "a snapshot"
grep -q '"state": *"SNAPSHOT_STATE_READY"' "$work/answer" || fail "the snapshot ended as $(cat "$work/answer")"
echo "took a snapshot"

token=$b_token
call "$b.$BASE_DOMAIN" GET "/v1/$record"
[ "$code" = 404 ] || fail "$b asked for $a's record and got $code"
call "$a.$BASE_DOMAIN" GET "/v1/$record"
[ "$code" = 404 ] || fail "$b's token on $a's host got $code"
echo "refused to $b: 404, on its own host and on $a's"

token=$a_token
ok "$a.$BASE_DOMAIN" DELETE "/v1/$record"
call "$a.$BASE_DOMAIN" GET "/v1/$record"
[ "$code" = 404 ] || fail "the deleted record answers $code"
token=$operator
for t in "$a" "$b"; do ok "$OPERATOR_HOST" DELETE "/v1/tenants/$t"; done
echo "deleted; all right"
