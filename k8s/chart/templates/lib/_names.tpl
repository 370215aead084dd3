{{- /* Names and labels. Every object is <fullname>-<component>. */ -}}
{{- define "tenantry.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{- define "tenantry.name" -}}{{ include "tenantry.fullname" .ctx }}-{{ .component }}{{- end }}

{{- define "tenantry.selector" -}}
app.kubernetes.io/name: tenantry
app.kubernetes.io/instance: {{ .ctx.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "tenantry.labels" -}}
{{ include "tenantry.selector" . }}
app.kubernetes.io/part-of: tenantry
app.kubernetes.io/version: {{ .ctx.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .ctx.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .ctx.Chart.Name .ctx.Chart.Version }}
{{- with .ctx.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tenantry.meta" -}}
name: {{ include "tenantry.name" . }}
namespace: {{ .ctx.Release.Namespace }}
labels:
  {{- include "tenantry.labels" . | nindent 2 }}
{{- end }}

{{- /* Settings of one service: defaults, then its own. */ -}}
{{- define "tenantry.settings" -}}
{{- mustMergeOverwrite (deepCopy .ctx.Values.defaults) (deepCopy (index .ctx.Values.services .component)) | toYaml }}
{{- end }}

{{- define "tenantry.image" -}}
{{- $image := .ctx.Values.image }}
{{- $own := .settings.image }}
{{- $name := default (printf "%s%s%s" $image.registry $image.prefix .component) $own.repository }}
{{- if $own.digest }}{{ $name }}@{{ $own.digest }}
{{- else }}{{ $name }}:{{ coalesce $own.tag $image.tag .ctx.Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "tenantry.secretName" -}}
{{- default (printf "%s-secrets" (include "tenantry.name" .)) .settings.existingSecret }}
{{- end }}

{{- /* Where others find a service: headless, so that clients see every pod and balance by themselves. */ -}}
{{- define "tenantry.peerHost" -}}
{{ include "tenantry.fullname" .ctx }}-{{ .component }}{{ if eq .component "gateway" }}-admin{{ end }}
{{- end }}

{{- define "tenantry.baseUri" -}}{{ .Values.hosts.scheme }}://{slug}.{{ .Values.hosts.baseDomain }}{{- end }}
{{- define "tenantry.operatorHost" -}}{{ default (printf "operator.%s" .Values.hosts.baseDomain) .Values.hosts.operatorHost }}{{- end }}
{{- define "tenantry.apiHosts" -}}{{ default (list (printf "api.%s" .Values.hosts.baseDomain) "127.0.0.1" "localhost") .Values.hosts.apiHosts | toJson }}{{- end }}
