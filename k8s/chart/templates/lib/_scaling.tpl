{{- /* Horizontal pod autoscaler and disruption budget. Old servers have only the beta versions; the fields are the same. */ -}}
{{- /* Whether the cluster serves custom metrics: an HPA with one metric that it cannot read never scales down. */ -}}
{{- define "tenantry.customMetrics" -}}
{{- $served := or (.ctx.Capabilities.APIVersions.Has "custom.metrics.k8s.io/v1beta1") (.ctx.Capabilities.APIVersions.Has "custom.metrics.k8s.io/v1beta2") }}
{{- if eq (toString .wanted) "auto" }}{{ $served }}{{ else }}{{ .wanted }}{{ end }}
{{- end }}

{{- define "tenantry.hpa" -}}
{{- $a := (include "tenantry.settings" . | fromYaml).autoscaling }}
{{- if $a.enabled }}
{{- $v2 := or (.ctx.Capabilities.APIVersions.Has "autoscaling/v2") (semverCompare ">=1.23-0" .ctx.Capabilities.KubeVersion.Version) }}
apiVersion: {{ ternary "autoscaling/v2" "autoscaling/v2beta2" $v2 }}
kind: HorizontalPodAutoscaler
metadata:
  {{- include "tenantry.meta" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "tenantry.name" . }}
  minReplicas: {{ $a.minReplicas }}
  maxReplicas: {{ $a.maxReplicas }}
  # The largest answer wins to scale up; to scale down every metric must be readable.
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ $a.cpuPercent }}}
    {{- if and $a.requestsPerSecond (eq (include "tenantry.customMetrics" (dict "ctx" .ctx "wanted" $a.customMetrics)) "true") }}
    - type: Pods
      pods:
        metric: {name: tenantry_requests_per_second}
        target: {type: AverageValue, averageValue: {{ $a.requestsPerSecond | toString | quote }}}
    {{- end }}
    {{- with $a.extraMetrics }}{{ toYaml . | nindent 4 }}{{ end }}
  behavior:
    {{- toYaml $a.behavior | nindent 4 }}
{{- end }}
{{- end }}

{{- define "tenantry.pdb" -}}
{{- $pdb := (include "tenantry.settings" . | fromYaml).pdb }}
{{- if $pdb.enabled }}
{{- $v1 := or (.ctx.Capabilities.APIVersions.Has "policy/v1/PodDisruptionBudget") (semverCompare ">=1.21-0" .ctx.Capabilities.KubeVersion.Version) }}
apiVersion: {{ ternary "policy/v1" "policy/v1beta1" $v1 }}
kind: PodDisruptionBudget
metadata:
  {{- include "tenantry.meta" . | nindent 2 }}
spec:
  maxUnavailable: {{ $pdb.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "tenantry.selector" . | nindent 6 }}
{{- end }}
{{- end }}
