#!/usr/bin/env bash
# curl: REST as a person at a terminal uses it. curl resolves *.localhost by itself.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
base=http://$HOST
json=(-H 'content-type: application/json')
as=(-H "authorization: Bearer $TOKEN")
ask() { curl -sS -i -m 30 "$@" 2>&1 || true; }

check "sign in" '"accessToken"' "$(ask "${json[@]}" "$base/v1/auth:signIn" -d "{\"email\":\"$EMAIL\",\"password\":\"$PASSWORD\"}")"
made=$(ask "${as[@]}" "${json[@]}" "$base/v1/objectTypes/tickets/records" -d '{"fields":{"title":"by curl","priority":1}}')
check "create a record" '"title": ?"by curl"' "$made"
check "every answer has a request id" '^x-request-id: ' "$made"
check "every answer says what is left of the plan" '^ratelimit' "$(tr '[:upper:]' '[:lower:]' <<<"$made")"
name=$(grep -oE 'objectTypes/tickets/records/[^"]+' <<<"$made" | head -n1)
check "get it" '"title": ?"by curl"' "$(ask "${as[@]}" "$base/v1/$name")"
check "list with a filter" '"title": ?"by curl"' "$(ask "${as[@]}" -G "$base/v1/objectTypes/tickets/records" --data-urlencode 'filter=title = "by curl"')"
check "change it" '"title": ?"changed"' "$(ask "${as[@]}" "${json[@]}" -X PATCH "$base/v1/$name?updateMask=fields.title" -d '{"fields":{"title":"changed"}}')"
key=5e1f0f6e-3a51-4c5b-9d3e-0b8a7c6d5e4f
first=$(ask "${as[@]}" "${json[@]}" -H "idempotency-key: $key" "$base/v1/objectTypes/tickets/records" -d '{"fields":{"title":"once"}}')
again=$(ask "${as[@]}" "${json[@]}" -H "idempotency-key: $key" "$base/v1/objectTypes/tickets/records" -d '{"fields":{"title":"once"}}')
check "an idempotency key runs once" "$(grep -oE 'records/[^"]+' <<<"$first" | head -n1)" "$again"
check "a missing record is a problem document" '^content-type: application/problem\+json' "$(ask "${as[@]}" "$base/v1/objectTypes/tickets/records/nope")"
check "with a reason" '"reason": ?"NOT_FOUND"' "$(ask "${as[@]}" "$base/v1/objectTypes/tickets/records/nope")"
check "without a token it is 401" '^HTTP/[0-9.]+ 401' "$(ask "$base/v1/$name")"
printf 'city,people\nBern,134000\nThun,44000\n' >"$TENANTRY_STUBS/cities-$$.csv"
check "upload a CSV file" '"rowCount": ?"2"' \
  "$(ask "${as[@]}" -H 'content-type: text/csv' --data-binary "@$TENANTRY_STUBS/cities-$$.csv" "$base/v1/imports:upload?filename=cities.csv")"
rm -f "$TENANTRY_STUBS/cities-$$.csv"
check "OpenAPI is served" '"openapi": ?"3\.1' "$(ask "$base/openapi.json")"
check "delete it" '^HTTP/[0-9.]+ 20[04]' "$(ask "${as[@]}" -X DELETE "$base/v1/$name")"
check "the same over HTTP/2" '^HTTP/2 404' "$(ask --http2-prior-knowledge "${as[@]}" "$base/v1/$name")"
verdict
