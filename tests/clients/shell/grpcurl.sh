#!/usr/bin/env bash
# grpcurl without any proto file: everything it knows comes from reflection (v1alpha for releases before 1.8.8).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
at=(-plaintext -authority "$HOST" -max-time 15)
as=(-H "authorization: Bearer $TOKEN")
server=127.0.0.1:$PORT
ask() { grpcurl "$@" 2>&1 || true; }

services=$(ask "${at[@]}" "$server" list)
for service in business.v1.RecordService auth.v1.LoginService registry.v1.TenantService; do
  check "reflection lists $service" "^tenantry\.$service\$" "$services"
done
check "reflection describes a method" 'rpc CreateRecord' "$(ask "${at[@]}" "$server" describe tenantry.business.v1.RecordService)"
check "sign in" '"accessToken"' "$(ask "${at[@]}" -d "{\"email\":\"$EMAIL\",\"password\":\"$PASSWORD\"}" "$server" tenantry.auth.v1.LoginService/SignIn)"
made=$(ask "${at[@]}" "${as[@]}" -d '{"parent":"objectTypes/tickets","record":{"fields":{"title":"by grpcurl"}}}' \
  "$server" tenantry.business.v1.RecordService/CreateRecord)
check "create a record" '"title": "by grpcurl"' "$made"
name=$(sed -n 's/.*"name": "\([^"]*\)".*/\1/p' <<<"$made" | head -n1)
check "get it" '"title": "by grpcurl"' "$(ask "${at[@]}" "${as[@]}" -d "{\"name\":\"$name\"}" "$server" tenantry.business.v1.RecordService/GetRecord)"
check "without a token it is refused" 'Unauthenticated' "$(ask "${at[@]}" -d "{\"name\":\"$name\"}" "$server" tenantry.business.v1.RecordService/GetRecord)"
check "internal services are not offered" 'Unimplemented|NotFound|not include|Unauthenticated|PermissionDenied|not expose|not found' \
  "$(ask "${at[@]}" "${as[@]}" -d '{}' "$server" tenantry.auth.v1.TokenService/IssueServiceToken)"
check "health" 'SERVING' "$(ask "${at[@]}" "$server" grpc.health.v1.Health/Check)"
verdict
