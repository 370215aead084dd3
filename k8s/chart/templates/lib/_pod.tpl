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
