{{- /* Migrations: one Job, the services one after the other, in the order of deploy/dev/services.sh. */ -}}
{{- define "tenantry.migrateHash" -}}
{{- $all := list (include "tenantry.migrateTemplate" .) }}
{{- range include "tenantry.migrated" . | fromJsonArray }}
{{- $in := dict "ctx" $ "component" . "purpose" "migrate" }}
{{- $_ := set $in "settings" (include "tenantry.settings" $in | fromYaml) }}
{{- $all = append $all (include "tenantry.config" $in) }}
{{- end }}
{{- $all | toJson | sha256sum | trunc 8 }}
{{- end }}

{{- define "tenantry.hook" -}}
{{- if .ctx.Values.migrations.hook }}
annotations:
  helm.sh/hook: pre-install,pre-upgrade
  helm.sh/hook-weight: {{ .weight | quote }}
  helm.sh/hook-delete-policy: {{ .delete }}
{{- end }}
{{- end }}

{{- define "tenantry.migrateConfigmap" -}}
{{- $me := dict "ctx" . "component" "migrate" }}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "tenantry.meta" $me | nindent 2 }}
  {{- include "tenantry.hook" (dict "ctx" . "weight" -10 "delete" "before-hook-creation") | nindent 2 }}
data:
  {{- range include "tenantry.migrated" . | fromJsonArray }}
  {{- $in := dict "ctx" $ "component" . "purpose" "migrate" }}
  {{- $_ := set $in "settings" (include "tenantry.settings" $in | fromYaml) }}
  {{ . }}.toml: |
    {{- include "tenantry.config" $in | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "tenantry.migrateSecret" -}}
{{- if and .ctx.Values.secrets.create .ctx.Values.migrations.hook }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "tenantry.name" . }}-migrate-secrets
  namespace: {{ .ctx.Release.Namespace }}
  labels:
    {{- include "tenantry.labels" . | nindent 4 }}
  {{- include "tenantry.hook" (dict "ctx" .ctx "weight" -10 "delete" "before-hook-creation,hook-succeeded") | nindent 2 }}
type: Opaque
data:
  {{- include "tenantry.secretData" . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tenantry.migrateContainer" -}}
{{- $m := .ctx.Values.migrations }}
- name: {{ .component }}
  image: {{ include "tenantry.image" . }}
  imagePullPolicy: {{ .ctx.Values.image.pullPolicy }}
  args: [migrate, --config, /etc/tenantry/config/{{ .component }}.toml]
  {{- if or $m.env $m.extraEnv (include "tenantry.ca" .ctx) }}
  env:
    {{- with include "tenantry.caEnv" .ctx | trim }}{{ . | nindent 4 }}{{ end }}
    {{- range $name, $value := $m.env }}
    - {name: {{ $name }}, value: {{ $value | quote }}}
    {{- end }}
    {{- with $m.extraEnv }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- end }}
  {{- with .settings.extraEnvFrom }}
  envFrom: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "tenantry.containerSecurity" . | nindent 4 }}
  resources:
    {{- toYaml $m.resources | nindent 4 }}
  volumeMounts:
    - {name: config, mountPath: /etc/tenantry/config, readOnly: true}
    - {name: secrets-{{ .component }}, mountPath: /etc/tenantry/secrets, readOnly: true}
    - {name: tmp, mountPath: /tmp}
    {{- with include "tenantry.caMount" .ctx | trim }}{{ . | nindent 4 }}{{ end }}
    {{- with $m.extraVolumeMounts }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end }}

{{- define "tenantry.migrateJob" -}}
{{- $m := .Values.migrations }}
{{- $me := dict "ctx" . "component" "migrate" }}
apiVersion: batch/v1
kind: Job
metadata:
  # A Job cannot be changed: without hooks each configuration and image has a Job of its own.
  name: {{ include "tenantry.name" $me }}{{ if not $m.hook }}-{{ include "tenantry.migrateHash" . }}{{ end }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "tenantry.labels" $me | nindent 4 }}
  {{- include "tenantry.hook" (dict "ctx" . "weight" 0 "delete" "before-hook-creation") | nindent 2 }}
spec:
  backoffLimit: {{ $m.backoffLimit }}
  activeDeadlineSeconds: {{ $m.activeDeadlineSeconds }}
  {{- if not $m.hook }}
  ttlSecondsAfterFinished: 86400
  {{- end }}
  template:
    {{- include "tenantry.migrateTemplate" . | nindent 4 }}
{{- end }}

{{- define "tenantry.migrateTemplate" -}}
{{- $m := .Values.migrations }}
{{- $me := dict "ctx" . "component" "migrate" }}
{{- $order := include "tenantry.migrated" . | fromJsonArray }}
{{- $in := dict "ctx" . "own" $m }}
metadata:
  labels:
    {{- include "tenantry.selector" $me | nindent 4 }}
    app.kubernetes.io/part-of: tenantry
    {{- with include "tenantry.sideLabels" $in | trim }}{{ . | nindent 4 }}{{ end }}
  {{- with $m.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: Never
  {{- include "tenantry.podSecurity" . | nindent 2 }}
  {{- include "tenantry.pullSecrets" . | indent 2 }}
  {{- with include "tenantry.sidePlace" $in | trim }}{{ . | nindent 2 }}{{ end }}
  initContainers:
    {{- range initial $order }}
    {{- $in := dict "ctx" $ "component" . "purpose" "migrate" }}
    {{- $_ := set $in "settings" (include "tenantry.settings" $in | fromYaml) }}
    {{- include "tenantry.migrateContainer" $in | nindent 4 }}
    {{- end }}
  containers:
    {{- $in := dict "ctx" . "component" (last $order) "purpose" "migrate" }}
    {{- $_ := set $in "settings" (include "tenantry.settings" $in | fromYaml) }}
    {{- include "tenantry.migrateContainer" $in | nindent 4 }}
  volumes:
    - name: config
      configMap: {name: {{ include "tenantry.name" $me }}}
    - name: tmp
      emptyDir: {}
    {{- with include "tenantry.caVolume" . | trim }}{{ . | nindent 4 }}{{ end }}
    {{- range $order }}
    {{- $in := dict "ctx" $ "component" . "purpose" "migrate" }}
    {{- $_ := set $in "settings" (include "tenantry.settings" $in | fromYaml) }}
    {{- if and $.Values.secrets.create $m.hook }}
    {{- $_ := set $in "secretName" (printf "%s-migrate-secrets" (include "tenantry.name" $in)) }}
    {{- end }}
    - name: secrets-{{ . }}
      secret:
        {{- include "tenantry.secretVolume" $in | nindent 8 }}
    {{- end }}
    {{- with $m.extraVolumes }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end }}
