{{- define "hub.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "hub.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hub.labels" -}}
{{ include "hub.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "hub.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "hub.name" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "hub.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The environment that all processes share. */}}
{{- define "hub.env" -}}
- {name: HUB_HOST, value: "0.0.0.0"}
- {name: HUB_PORT, value: "8080"}
- {name: HUB_HEALTH_PORT, value: "9090"}
- {name: HUB_BASE_URL, value: {{ .Values.baseUrl | quote }}}
- {name: HUB_ALLOWED_HOSTS, value: {{ join "," (append .Values.allowedHosts (include "hub.name" .)) | quote }}}
- {name: HUB_TASK_QUEUE, value: {{ .Values.taskQueue | quote }}}
- {name: HUB_DRAIN_DELAY, value: {{ printf "%ds" (int .Values.drain.delaySeconds) | quote }}}
- {name: HUB_DRAIN_TIMEOUT, value: {{ printf "%ds" (int .Values.drain.timeoutSeconds) | quote }}}
- {name: HUB_MAX_CACHED_RUNS, value: {{ int .Values.worker.maxCachedRuns | quote }}}
- {name: HUB_MAX_ACTIONS, value: {{ int .Values.worker.maxActions | quote }}}
{{- with .Values.kafka.brokers }}
- {name: HUB_KAFKA_BROKERS, value: {{ . | quote }}}
{{- end }}
- {name: TEMPORAL_ADDRESS, value: {{ .Values.temporal.address | quote }}}
- {name: TEMPORAL_NAMESPACE, value: {{ .Values.temporal.namespace | quote }}}
{{- with .Values.temporal.page }}
- {name: HUB_TEMPORAL_UI, value: {{ . | quote }}}
{{- end }}
{{- with .Values.temporal.apiKeySecret }}
- name: TEMPORAL_API_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: TEMPORAL_API_KEY}}
{{- end }}
{{- if .Values.temporal.tlsSecret }}
- {name: TEMPORAL_TLS_CLIENT_CERT_PATH, value: /etc/temporal-tls/tls.crt}
- {name: TEMPORAL_TLS_CLIENT_KEY_PATH, value: /etc/temporal-tls/tls.key}
{{- if .Values.temporal.privateAuthority }}
- {name: TEMPORAL_TLS_SERVER_CA_CERT_PATH, value: /etc/temporal-tls/ca.crt}
{{- end }}
{{- end }}
{{- with .Values.temporal.serverName }}
- {name: TEMPORAL_TLS_SERVER_NAME, value: {{ . | quote }}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A pod of one role: dict "root" $ "role" the command "resources" ... */}}
{{- define "hub.pod" -}}
{{- $ := .root -}}
serviceAccountName: {{ include "hub.serviceAccount" $ }}
automountServiceAccountToken: false
{{- with $.Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
terminationGracePeriodSeconds: {{ add (int $.Values.drain.delaySeconds) (int $.Values.drain.timeoutSeconds) 20 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with $.Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $.Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- if ne .role "apply" }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "hub.selector" $ | nindent 8 }}
        app.kubernetes.io/component: {{ .role }}
{{- end }}
containers:
  - name: {{ .role }}
    image: {{ include "hub.image" $ | quote }}
    imagePullPolicy: {{ $.Values.image.pullPolicy }}
    args: [{{ .role }}, {{ $.Values.project.path | quote }}]
    env: {{ include "hub.env" $ | nindent 6 }}
    envFrom:
      - secretRef: {name: {{ $.Values.secrets.hub }}}
      {{- with $.Values.secrets.project }}
      - secretRef: {name: {{ . }}}
      {{- end }}
    {{- if ne .role "apply" }}
    ports:
      {{- if eq .role "serve" }}
      - {name: http, containerPort: 8080}
      {{- end }}
      - {name: health, containerPort: 9090}
    startupProbe:
      httpGet: {path: /healthz, port: health}
      periodSeconds: 2
      failureThreshold: 60
    livenessProbe:
      httpGet: {path: /healthz, port: health}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    readinessProbe:
      httpGet: {path: /readyz, port: health}
      periodSeconds: 5
      timeoutSeconds: 5
      failureThreshold: 2
    {{- end }}
    resources: {{ toYaml .resources | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      {{- if $.Values.temporal.tlsSecret }}
      - {name: temporal-tls, mountPath: /etc/temporal-tls, readOnly: true}
      {{- end }}
      {{- with $.Values.project.configMaps.root }}
      - {name: project, mountPath: {{ $.Values.project.path }}, readOnly: true}
      {{- end }}
      {{- with $.Values.project.configMaps.trees }}
      - {name: trees, mountPath: {{ $.Values.project.path }}/trees, readOnly: true}
      {{- end }}
      {{- with $.Values.project.configMaps.templates }}
      - {name: templates, mountPath: {{ $.Values.project.path }}/templates, readOnly: true}
      {{- end }}
volumes:
  - {name: tmp, emptyDir: {}}
  {{- with $.Values.temporal.tlsSecret }}
  - {name: temporal-tls, secret: {secretName: {{ . }}}}
  {{- end }}
  {{- with $.Values.project.configMaps.root }}
  - {name: project, configMap: {name: {{ . }}}}
  {{- end }}
  {{- with $.Values.project.configMaps.trees }}
  - {name: trees, configMap: {name: {{ . }}}}
  {{- end }}
  {{- with $.Values.project.configMaps.templates }}
  - {name: templates, configMap: {name: {{ . }}}}
  {{- end }}
{{- end }}

{{/* A Deployment of one role: dict "root" $ "role" "name" "values" */}}
{{- define "hub.deployment" -}}
{{- $ := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "hub.name" $ }}-{{ .name }}
  labels: {{ include "hub.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
spec:
  {{- if not .values.autoscaling.enabled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels: {{ include "hub.selector" $ | nindent 6 }}
      app.kubernetes.io/component: {{ .role }}
  template:
    metadata:
      labels: {{ include "hub.labels" $ | nindent 8 }}
        app.kubernetes.io/component: {{ .role }}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "9090"
        {{- with $.Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec: {{ include "hub.pod" (dict "root" $ "role" .role "resources" .values.resources) | nindent 6 }}
{{- end }}
