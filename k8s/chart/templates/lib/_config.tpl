{{- /* A service's config.toml: what the chart knows, under what services.X.config says. "purpose" is run or migrate. */ -}}
{{- define "tenantry.config" -}}
{{- $v := .ctx.Values }}
{{- $fact := include "tenantry.fact" . | fromYaml }}
{{- $admin := printf "0.0.0.0:%s" (include "tenantry.adminPort" .) }}
{{- $config := dict "dev" $v.dev }}
{{- $_ := set $config "identity" (dict "service" .component) }}
{{- $_ := set $config "telemetry" (dict "log" $v.telemetry.log "format" $v.telemetry.format "otlp_endpoint" $v.telemetry.otlpEndpoint) }}
{{- $listen := dict "admin" $admin }}
{{- $_ := set $listen (ternary "public" "grpc" (eq .component "gateway")) (printf "0.0.0.0:%v" $fact.port) }}
{{- if eq .purpose "run" }}{{- $_ := set $listen "shutdown_delay_seconds" .settings.shutdownDelaySeconds }}{{ end }}
{{- $_ := set $config "listen" $listen }}
{{- range $fact.peers }}
{{- $peer := dict "ctx" $.ctx "component" . }}
{{- $_ := set $config . (dict "endpoint" (printf "http://%s:9000" (include "tenantry.peerHost" $peer)) "plaintext" $v.plaintextPeers) }}
{{- end }}
{{- if eq .component "gateway" }}
{{- $_ := set $config "trusted_proxies" $v.gateway.trustedProxies }}
{{- $_ := set $config "hosts" (dict "base_domain" $v.hosts.baseDomain "operator_host" (include "tenantry.operatorHost" .ctx) "api_hosts" (include "tenantry.apiHosts" .ctx | fromJsonArray)) }}
{{- else if has .component (list "auth" "registry") }}
{{- $_ := set $config "public" (dict "base_uri_template" (include "tenantry.baseUri" .ctx)) }}
{{- else if eq .component "backup" }}
{{- $_ := set $config "store" (dict "url" (default "file:///var/lib/tenantry/snapshots" $v.backup.store.url) "endpoint" $v.backup.store.endpoint "region" $v.backup.store.region) }}
{{- else if eq .component "monitoring" }}
{{- $targets := dict }}
{{- range list "gateway" "registry" "auth" "business" "backup" }}
{{- $peer := dict "ctx" $.ctx "component" . }}
{{- $_ := set $targets . (printf "http://%s:%s" (include "tenantry.peerHost" $peer) (include "tenantry.adminPort" .)) }}
{{- end }}
{{- $_ := set $config "health" (dict "targets" $targets) }}
{{- end }}
{{- $files := deepCopy $fact.secrets }}
{{- if eq .purpose "migrate" }}
{{- $files = mergeOverwrite $files $fact.migrate }}
{{- if eq .component "auth" }}
{{- $_ := set $config "bootstrap" (dict "operator_email" $v.operator.email) }}
{{- end }}
{{- end }}
{{- range $key, $file := $files }}
{{- $tree := printf "/etc/tenantry/secrets/%s" $file }}
{{- $parts := splitList "." (printf "%s_file" $key) }}
{{- range reverse $parts }}
{{- $tree = dict . $tree }}
{{- end }}
{{- $config = mergeOverwrite $config $tree }}
{{- end }}
{{- $config = mergeOverwrite $config (deepCopy .settings.config) }}
{{- include "tenantry.toml" (dict "table" $config "path" "") }}
{{- end }}

{{- /* The TOML of a table: plain keys first, then sub-tables. Helm's own toToml writes 16 as 16.0. */ -}}
{{- define "tenantry.toml" -}}
{{- $path := .path }}
{{- range $key, $value := .table }}{{ if not (kindIs "map" $value) }}
{{ $key }} = {{ include "tenantry.tomlValue" $value }}
{{- end }}{{ end }}
{{- range $key, $value := .table }}{{ if kindIs "map" $value }}
{{- $name := ternary $key (printf "%s.%s" $path $key) (empty $path) }}
{{- $plain := false }}
{{- range $value }}{{ if not (kindIs "map" .) }}{{ $plain = true }}{{ end }}{{ end }}
{{- if $plain }}

[{{ $name }}]
{{- end }}
{{- include "tenantry.toml" (dict "table" $value "path" $name) }}
{{- end }}{{ end }}
{{- end }}

{{- define "tenantry.tomlValue" -}}
{{- if kindIs "string" . }}{{ . | toJson }}
{{- else if kindIs "slice" . }}[{{ range $i, $v := . }}{{ if $i }}, {{ end }}{{ include "tenantry.tomlValue" $v }}{{ end }}]
{{- else if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%.0f" . }}
{{- else }}{{ . }}
{{- end }}
{{- end }}
