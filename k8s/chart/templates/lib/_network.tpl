{{- /* Services, and who may talk to whom. */ -}}
{{- define "tenantry.service" -}}
{{- if eq .component "gateway" }}
{{- $s := .ctx.Values.gateway.service }}
apiVersion: v1
kind: Service
metadata:
  {{- include "tenantry.meta" . | nindent 2 }}
  {{- with $s.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $s.type }}
  {{- with $s.externalTrafficPolicy }}
  externalTrafficPolicy: {{ . }}
  {{- end }}
  {{- with $s.loadBalancerSourceRanges }}
  loadBalancerSourceRanges: {{ toJson . }}
  {{- end }}
  selector:
    {{- include "tenantry.selector" . | nindent 4 }}
  ports:
    - name: http
      protocol: TCP # server-side apply on older servers asks for it
      port: {{ $s.port }}
      targetPort: http
      {{- with $s.appProtocol }}
      appProtocol: {{ . }}
      {{- end }}
---
{{- end }}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "tenantry.peerHost" . }}
  namespace: {{ .ctx.Release.Namespace }}
  labels:
    {{- include "tenantry.labels" . | nindent 4 }}
    tenantry/scrape: "true"
spec:
  # Headless: HTTP/2 would pin every client to one pod behind a cluster IP.
  clusterIP: None
  selector:
    {{- include "tenantry.selector" . | nindent 4 }}
  ports:
    {{- if ne .component "gateway" }}
    - {name: grpc, protocol: TCP, port: 9000, targetPort: grpc}
    {{- end }}
    - {name: admin, protocol: TCP, port: {{ include "tenantry.adminPort" . }}, targetPort: admin}
{{- end }}

{{- /* One egress rule to something outside of the chart. */ -}}
{{- define "tenantry.egressTo" -}}
- ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with .to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "tenantry.egressDns" -}}
- ports:
    {{- range .ports }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with .to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "tenantry.podPeer" -}}
- podSelector:
    matchLabels:
      {{- include "tenantry.selector" . | nindent 6 }}
{{- end }}

{{- define "tenantry.networkpolicy" -}}
{{- $np := .ctx.Values.networkPolicy }}
{{- if $np.enabled }}
{{- $settings := include "tenantry.settings" . | fromYaml }}
{{- $facts := include "tenantry.facts" . | fromYaml }}
{{- $fact := index $facts .component }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "tenantry.meta" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tenantry.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- if eq .component "gateway" }}
    - ports: [{protocol: TCP, port: http}]
      {{- with $np.gatewayFrom }}
      from:
        {{- toYaml . | nindent 8 }}
        {{- include "tenantry.podPeer" (dict "ctx" $.ctx "component" "test") | nindent 8 }}
      {{- end }}
    {{- else }}
    - ports: [{protocol: TCP, port: grpc}]
      from:
        {{- range $name, $other := $facts }}{{ if has $.component $other.peers }}
        {{- include "tenantry.podPeer" (dict "ctx" $.ctx "component" $name) | nindent 8 }}
        {{- end }}{{ end }}
    {{- end }}
    - ports: [{protocol: TCP, port: admin}]
      from:
        {{- with $np.metricsFrom }}{{ toYaml . | nindent 8 }}{{ end }}
        {{- include "tenantry.podPeer" (dict "ctx" .ctx "component" "monitoring") | nindent 8 }}
    {{- with $settings.networkPolicy.extraIngress }}{{ toYaml . | nindent 4 }}{{ end }}
  egress:
    {{- include "tenantry.egressDns" $np.dns | nindent 4 }}
    {{- range $fact.needs }}
    {{- if or (ne . "objectStore") $.ctx.Values.backup.store.url }}
    {{- include "tenantry.egressTo" (index $np .) | nindent 4 }}
    {{- end }}
    {{- end }}
    {{- $store := .ctx.Values.backup.store }}
    {{- if and (eq .component "backup") (hasPrefix "s3://" $store.url) (not $store.credentials) }}
    {{- include "tenantry.egressTo" $np.instanceMetadata | nindent 4 }}
    {{- end }}
    {{- with .ctx.Values.telemetry.otlpEndpoint }}
    {{- include "tenantry.egressTo" $np.otlp | nindent 4 }}
    {{- end }}
    - ports: [{protocol: TCP, port: 9000}]
      to:
        {{- range $fact.peers }}
        {{- include "tenantry.podPeer" (dict "ctx" $.ctx "component" .) | nindent 8 }}
        {{- end }}
    {{- if eq .component "monitoring" }}
    - ports: [{protocol: TCP, port: {{ include "tenantry.adminPort" . }}}]
      to:
        {{- range $name, $_ := $facts }}
        {{- include "tenantry.podPeer" (dict "ctx" $.ctx "component" $name) | nindent 8 }}
        {{- end }}
    {{- end }}
    {{- with $settings.networkPolicy.extraEgress }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end }}
{{- end }}
