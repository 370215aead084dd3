{{- /* Parts of every pod: the "restricted" pod security standard and then some. */ -}}
{{- define "tenantry.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  # Mounted secrets are root's and lent to this group.
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "tenantry.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "tenantry.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* Pods that are no service (migration, bootstrap, test) take part in what all pods need: a label, a taint, a kind of node. */ -}}
{{- define "tenantry.sideLabels" -}}
{{- with mergeOverwrite (deepCopy .ctx.Values.defaults.podLabels) (deepCopy .own.podLabels) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tenantry.sidePlace" -}}
{{- with mergeOverwrite (deepCopy .ctx.Values.defaults.nodeSelector) (deepCopy .own.nodeSelector) }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat .ctx.Values.defaults.tolerations .own.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Only the keys of the Secret that this purpose needs. */ -}}
{{- define "tenantry.secretVolume" -}}
{{- $fact := include "tenantry.fact" . | fromYaml }}
{{- $files := deepCopy $fact.secrets }}
{{- if eq .purpose "migrate" }}{{ $files = mergeOverwrite $files $fact.migrate }}{{ end }}
secretName: {{ .secretName | default (include "tenantry.secretName" .) }}
defaultMode: 0400
items:
  {{- range values $files | uniq | sortAlpha }}
  - {key: {{ . }}, path: {{ . }}}
  {{- end }}
{{- end }}

{{- /* tls.ca: the file is named like a hash, as OpenSSL's directories have it and the services' reader of them insists on. */ -}}
{{- define "tenantry.ca" -}}
{{- $ca := .Values.tls.ca }}
{{- if and $ca.configMap $ca.secret }}{{ fail "tls.ca: configMap or secret, not both" }}{{ end }}
{{- or $ca.configMap $ca.secret }}
{{- end }}

{{- define "tenantry.caEnv" -}}
{{- if include "tenantry.ca" . }}
- {name: SSL_CERT_FILE, value: /etc/ssl/certs/ca-certificates.crt}
- {name: SSL_CERT_DIR, value: /etc/tenantry/ca}
{{- end }}
{{- end }}

{{- define "tenantry.caMount" -}}
{{- if include "tenantry.ca" . }}
- {name: ca, mountPath: /etc/tenantry/ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "tenantry.caVolume" -}}
{{- $ca := .Values.tls.ca }}
{{- if include "tenantry.ca" . }}
- name: ca
  {{- if $ca.configMap }}
  configMap: {name: {{ $ca.configMap }}, items: [{key: {{ $ca.key }}, path: "00000000.0"}]}
  {{- else }}
  secret: {secretName: {{ $ca.secret }}, defaultMode: 0400, items: [{key: {{ $ca.key }}, path: "00000000.0"}]}
  {{- end }}
{{- end }}
{{- end }}
