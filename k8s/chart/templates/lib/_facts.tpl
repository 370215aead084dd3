{{- /*
What is true of each service whatever the values say. peers: whom it calls (deploy/dev/config.sh, calls(); the policy check
compares). secrets: configuration key without "_file" -> key of its Secret. migrate: the same, for migrations only.
*/ -}}
{{- define "tenantry.facts" -}}
gateway:
  port: 8080
  peers: [auth, registry, business, backup, monitoring]
  secrets: {amqp.url: amqp_url, identity.secret: identity_secret}
  migrate: {}
  needs: [amqp]
registry:
  port: 9000
  peers: [auth, business]
  secrets: {db.url: db_url, db.system_url: db_system_url, amqp.url: amqp_url, identity.secret: identity_secret}
  migrate: {db.ddl_url: db_ddl_url}
  needs: [postgresql, amqp]
auth:
  port: 9000
  peers: [registry]
  secrets:
    db.url: db_url
    db.system_url: db_system_url
    amqp.url: amqp_url
    identity.secret: identity_secret
    keys.root_key: root_key
    services.secrets.gateway: service_gateway
    services.secrets.registry: service_registry
    services.secrets.auth: service_auth
    services.secrets.business: service_business
    services.secrets.backup: service_backup
    services.secrets.monitoring: service_monitoring
  migrate:
    db.ddl_url: db_ddl_url
    data.url: data_url
    data.system_url: data_system_url
    data.ddl_url: data_ddl_url
    bootstrap.operator_password: operator_password
  needs: [postgresql, amqp]
business:
  port: 9000
  peers: [auth, registry]
  secrets:
    data.url: data_url
    data.system_url: data_system_url
    data.ddl_url: data_ddl_url
    redis.url: redis_url
    amqp.url: amqp_url
    identity.secret: identity_secret
  migrate: {}
  needs: [postgresql, redis, amqp]
backup:
  port: 9000
  peers: [auth, registry, business]
  secrets: {db.url: db_url, db.system_url: db_system_url, amqp.url: amqp_url, identity.secret: identity_secret, signing.key: signing_key}
  migrate: {db.ddl_url: db_ddl_url}
  needs: [postgresql, amqp, objectStore]
monitoring:
  port: 9000
  peers: [auth, registry]
  secrets: {db.url: db_url, db.system_url: db_system_url, amqp.url: amqp_url, identity.secret: identity_secret, alerts.token: alerts_token}
  migrate: {db.ddl_url: db_ddl_url}
  needs: [postgresql, amqp]
{{- end }}

{{- define "tenantry.fact" -}}
{{- $fact := index (include "tenantry.facts" . | fromYaml) .component }}
{{- if and (eq .component "backup") .ctx.Values.backup.store.credentials }}
{{- $_ := set $fact.secrets "store.access_key_id" "store_access_key_id" }}
{{- $_ := set $fact.secrets "store.secret_access_key" "store_secret_access_key" }}
{{- end }}
{{- toYaml $fact }}
{{- end }}
{{- define "tenantry.adminPort" -}}9001{{- end }}
{{- define "tenantry.migrated" -}}{{ list "registry" "auth" "business" "backup" "monitoring" | toJson }}{{- end }}

{{- /* Snapshots on a volume: refused where pods would lose them or wait for each other's volume for ever. */ -}}
{{- define "tenantry.snapshotsFit" -}}
{{- $p := .ctx.Values.backup.persistence }}
{{- $a := .settings.autoscaling }}
{{- $pods := ternary $a.maxReplicas .settings.replicas $a.enabled | int }}
{{- if and (not $p.enabled) (not .ctx.Values.dev) }}
{{- fail "backup.persistence.enabled is false and backup.store.url is empty: snapshots would be lost with their pod. Set backup.store.url to s3://bucket/prefix (recommended), or backup.persistence.enabled=true, or dev=true for a trial" }}
{{- end }}
{{- if and $p.enabled (gt $pods 1) (not (has "ReadWriteMany" $p.accessModes)) }}
{{- fail (printf "backup: %d pods cannot share a volume that is %s. Set backup.store.url to s3://bucket/prefix (recommended), or backup.persistence.accessModes=[ReadWriteMany], or keep services.backup.replicas=1 with services.backup.autoscaling.enabled=false" $pods (join "," $p.accessModes)) }}
{{- end }}
{{- end }}
