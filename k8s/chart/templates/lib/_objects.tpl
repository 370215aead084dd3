{{- /* The small objects of a service. */ -}}
{{- define "tenantry.serviceaccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "tenantry.meta" . | nindent 2 }}
  {{- with (include "tenantry.settings" . | fromYaml).serviceAccount.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{- define "tenantry.configmap" -}}
{{- $in := merge (dict "settings" (include "tenantry.settings" . | fromYaml) "purpose" "run") . }}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "tenantry.meta" . | nindent 2 }}
data:
  config.toml: |
    {{- include "tenantry.config" $in | nindent 4 }}
{{- end }}

{{- /* Only with secrets.create. */ -}}
{{- define "tenantry.secret" -}}
{{- if .ctx.Values.secrets.create }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "tenantry.name" . }}-secrets
  namespace: {{ .ctx.Release.Namespace }}
  labels:
    {{- include "tenantry.labels" . | nindent 4 }}
type: Opaque
data:
  {{- include "tenantry.secretData" . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tenantry.secretData" -}}
{{- $fact := include "tenantry.fact" . | fromYaml }}
{{- $given := default dict (index .ctx.Values.secrets.data .component) }}
{{- range values (mergeOverwrite (deepCopy $fact.secrets) $fact.migrate) | uniq | sortAlpha }}
{{ . }}: {{ required (printf "secrets.data.%s.%s is missing (or use secrets.create=false and a Secret of your own)" $.component .) (index $given .) | b64enc }}
{{- end }}
{{- end }}

{{- define "tenantry.servicemonitor" -}}
{{- $m := .ctx.Values.metrics.serviceMonitor }}
{{- if $m.enabled }}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- include "tenantry.meta" . | nindent 2 }}
    {{- with $m.labels }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  selector:
    matchLabels:
      {{- include "tenantry.selector" . | nindent 6 }}
      tenantry/scrape: "true"
  namespaceSelector:
    matchNames: [{{ .ctx.Release.Namespace }}]
  endpoints:
    - port: admin
      path: /metrics
      interval: {{ $m.interval }}
      relabelings:
        # The operator would make it the Service's name; rules, dashboards and the adapter go by one job and by service.
        - {targetLabel: job, replacement: tenantry}
        - {targetLabel: service, replacement: {{ .component }}}
{{- end }}
{{- end }}
