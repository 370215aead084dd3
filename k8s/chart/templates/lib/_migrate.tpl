{{- /* Migrations: one Job, the services one after the other, in the order of deploy/dev/services.sh. */ -}}
{{- define "tenantry.migrateHash" -}}
{{- $all := list }}
{{- range include "tenantry.migrated" . | fromJsonArray }}
{{- $in := dict "ctx" $ "component" . "purpose" "migrate" }}
{{- $_ := set $in "settings" (include "tenantry.settings" $in | fromYaml) }}
{{- $all = append $all (list (include "tenantry.image" $in) (include "tenantry.config" $in)) }}
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
{{- end }}

{{- define "tenantry.migrateJob" -}}
{{- $m := .Values.migrations }}
{{- $me := dict "ctx" . "component" "migrate" }}
{{- $order := include "tenantry.migrated" . | fromJsonArray }}
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
    metadata:
      labels:
        {{- include "tenantry.selector" $me | nindent 8 }}
        app.kubernetes.io/part-of: tenantry
    spec:
      restartPolicy: Never
      {{- include "tenantry.podSecurity" . | nindent 6 }}
      {{- include "tenantry.pullSecrets" . | indent 6 }}
      initContainers:
        {{- range initial $order }}
        {{- $in := dict "ctx" $ "component" . "purpose" "migrate" }}
        {{- $_ := set $in "settings" (include "tenantry.settings" $in | fromYaml) }}
        {{- include "tenantry.migrateContainer" $in | nindent 8 }}
        {{- end }}
      containers:
        {{- $in := dict "ctx" . "component" (last $order) "purpose" "migrate" }}
        {{- $_ := set $in "settings" (include "tenantry.settings" $in | fromYaml) }}
        {{- include "tenantry.migrateContainer" $in | nindent 8 }}
      volumes:
        - name: config
          configMap: {name: {{ include "tenantry.name" $me }}}
        - name: tmp
          emptyDir: {}
        {{- range $order }}
        {{- $in := dict "ctx" $ "component" . "purpose" "migrate" }}
        {{- $_ := set $in "settings" (include "tenantry.settings" $in | fromYaml) }}
        {{- if and $.Values.secrets.create $m.hook }}
        {{- $_ := set $in "secretName" (printf "%s-migrate-secrets" (include "tenantry.name" $in)) }}
        {{- end }}
        - name: secrets-{{ . }}
          secret:
            {{- include "tenantry.secretVolume" $in | nindent 12 }}
        {{- end }}
{{- end }}
