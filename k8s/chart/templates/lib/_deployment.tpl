{{- define "tenantry.deployment" -}}
{{- $settings := include "tenantry.settings" . | fromYaml }}
{{- $in := merge (dict "settings" $settings "purpose" "run") . }}
{{- $fact := include "tenantry.fact" . | fromYaml }}
{{- $volume := and (eq .component "backup") (not .ctx.Values.backup.store.url) }}
{{- if $volume }}{{ include "tenantry.snapshotsFit" $in }}{{ end }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "tenantry.meta" . | nindent 2 }}
spec:
  {{- if not $settings.autoscaling.enabled }}
  replicas: {{ $settings.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  minReadySeconds: 3
  strategy:
    {{- if and $volume .ctx.Values.backup.persistence.enabled (not (has "ReadWriteMany" .ctx.Values.backup.persistence.accessModes)) }}
    # The new pod could wait on another node for the volume that the old one holds.
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
    {{- end }}
  selector:
    matchLabels:
      {{- include "tenantry.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "tenantry.selector" . | nindent 8 }}
        app.kubernetes.io/part-of: tenantry
        {{- with $settings.podLabels }}{{ toYaml . | nindent 8 }}{{ end }}
      annotations:
        # A changed configuration rolls the pods.
        checksum/config: {{ include "tenantry.config" $in | sha256sum }}
        {{- if .ctx.Values.secrets.create }}
        checksum/secrets: {{ index .ctx.Values.secrets.data .component | toJson | sha256sum }}
        {{- end }}
        {{- with $settings.podAnnotations }}{{ toYaml . | nindent 8 }}{{ end }}
    spec:
      serviceAccountName: {{ include "tenantry.name" . }}
      {{- include "tenantry.podSecurity" . | nindent 6 }}
      {{- include "tenantry.pullSecrets" .ctx | indent 6 }}
      terminationGracePeriodSeconds: {{ $settings.terminationGracePeriodSeconds }}
      {{- with $settings.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $settings.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $settings.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $settings.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if $settings.topologySpread }}
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "tenantry.selector" $ | nindent 14 }}
        {{- end }}
      {{- end }}
      # Peers are names without a dot: one search, no detour over five suffixes for the databases' full names.
      dnsConfig: {options: [{name: ndots, value: "2"}]}
      containers:
        - name: {{ .component }}
          image: {{ include "tenantry.image" $in }}
          imagePullPolicy: {{ .ctx.Values.image.pullPolicy }}
          args: [run, --config, /etc/tenantry/config/config.toml]
          {{- if or $settings.env $settings.extraEnv (include "tenantry.ca" .ctx) }}
          env:
            {{- with include "tenantry.caEnv" .ctx | trim }}{{ . | nindent 12 }}{{ end }}
            {{- range $name, $value := $settings.env }}
            - {name: {{ $name }}, value: {{ $value | quote }}}
            {{- end }}
            {{- with $settings.extraEnv }}{{ toYaml . | nindent 12 }}{{ end }}
          {{- end }}
          {{- with $settings.extraEnvFrom }}
          envFrom: {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            - {name: {{ ternary "http" "grpc" (eq .component "gateway") }}, protocol: TCP, containerPort: {{ $fact.port }}}
            - {name: admin, protocol: TCP, containerPort: {{ include "tenantry.adminPort" . }}}
          securityContext:
            {{- include "tenantry.containerSecurity" . | nindent 12 }}
          resources:
            {{- toYaml $settings.resources | nindent 12 }}
          # Two minutes: a database that is away is waited for before the port opens.
          startupProbe:
            httpGet: {path: /livez, port: admin}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 60
          readinessProbe:
            httpGet: {path: /readyz, port: admin}
            periodSeconds: 5
            timeoutSeconds: 2
            failureThreshold: 2
          livenessProbe:
            httpGet: {path: /livez, port: admin}
            periodSeconds: 10
            timeoutSeconds: 3
            failureThreshold: 3
          volumeMounts:
            - {name: config, mountPath: /etc/tenantry/config, readOnly: true}
            - {name: secrets, mountPath: /etc/tenantry/secrets, readOnly: true}
            - {name: tmp, mountPath: /tmp}
            {{- with include "tenantry.caMount" .ctx | trim }}{{ . | nindent 12 }}{{ end }}
            {{- if $volume }}
            - {name: snapshots, mountPath: /var/lib/tenantry/snapshots}
            {{- end }}
            {{- with $settings.extraVolumeMounts }}{{ toYaml . | nindent 12 }}{{ end }}
        {{- with $settings.extraContainers }}{{ toYaml . | nindent 8 }}{{ end }}
      volumes:
        - name: config
          configMap: {name: {{ include "tenantry.name" . }}}
        - name: secrets
          secret:
            {{- include "tenantry.secretVolume" $in | nindent 12 }}
        - name: tmp
          emptyDir: {sizeLimit: 1Gi}
        {{- with include "tenantry.caVolume" .ctx | trim }}{{ . | nindent 8 }}{{ end }}
        {{- if $volume }}
        - name: snapshots
          {{- if .ctx.Values.backup.persistence.enabled }}
          persistentVolumeClaim: {claimName: {{ default (printf "%s-snapshots" (include "tenantry.name" .)) .ctx.Values.backup.persistence.existingClaim }}}
          {{- else }}
          emptyDir: {}
          {{- end }}
        {{- end }}
        {{- with $settings.extraVolumes }}{{ toYaml . | nindent 8 }}{{ end }}
{{- end }}
