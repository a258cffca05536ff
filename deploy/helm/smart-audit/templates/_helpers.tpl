{{- define "smart-audit.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels of everything, and of what a component's selectors choose. Takes root and component. */}}
{{- define "smart-audit.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "smart-audit.labels" -}}
{{ include "smart-audit.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "smart-audit.image" -}}
{{- $image := (index .root.Values .component).image -}}
{{- $tag := .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{- with .root.Values.image.registry }}{{ . }}/{{ end }}{{ $image }}:{{ $tag }}
{{- end }}

{{- define "smart-audit.issuer" -}}
{{ required "issuer: set it to the https:// URL at which people reach the gateway" .Values.issuer }}
{{- end }}

{{- define "smart-audit.host" -}}
{{ (urlParse (include "smart-audit.issuer" .)).hostname }}
{{- end }}

{{/* What the pod security standard "restricted" asks for, and a root that is read-only. */}}
{{- define "smart-audit.podSecurity" -}}
automountServiceAccountToken: false
# Variables such as AUTH_PORT belong to the settings, and not to the cluster.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "smart-audit.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* A variable out of a Secret. Takes name, secret and, for what may be missing, optional. */}}
{{- define "smart-audit.secret" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key | default .name }}{{ if .optional }}, optional: true{{ end }}}}
{{- end }}

{{/* The environment of auth or audit. Takes root and component. */}}
{{- define "smart-audit.environment" -}}
{{- $values := .root.Values -}}
{{- $prefix := upper .component -}}
{{- $name := include "smart-audit.name" .root -}}
{{- $secret := required "existingSecret: name the Secret that you have made" $values.existingSecret -}}
{{- $plain := dict "ENV" $values.environment -}}
{{- $_ := set $plain (printf "%s_ISSUER" $prefix) (include "smart-audit.issuer" .root) -}}
{{- $_ := set $plain (printf "%s_METRICS_PORT" $prefix) ($values.metrics.port | toString) -}}
{{- $secrets := list (printf "%s_DATABASE_URL" $prefix) (printf "%s_KEY_ENCRYPTION_KEY" $prefix) -}}
{{- $optional := list "SENTRY_DSN" -}}
{{- if eq .component "auth" -}}
{{- $host := include "smart-audit.host" .root -}}
{{- $url := urlParse (include "smart-audit.issuer" .root) -}}
{{- $_ := set $plain "AUTH_AUDIT_ADDRESS" (printf "%s-audit:50052" $name) -}}
{{- $_ := set $plain "AUTH_WEBAUTHN_RP_ID" $host -}}
{{- $_ := set $plain "AUTH_WEBAUTHN_ORIGINS" (printf "%s://%s" $url.scheme $url.host) -}}
{{- if $values.mail.host -}}
{{- $_ := set $plain "AUTH_SMTP_HOST" $values.mail.host -}}
{{- $_ := set $plain "AUTH_SMTP_PORT" ($values.mail.port | toString) -}}
{{- $_ := set $plain "AUTH_SMTP_SECURITY" $values.mail.security -}}
{{- $_ := set $plain "AUTH_SMTP_USERNAME" $values.mail.username -}}
{{- $_ := set $plain "AUTH_MAIL_FROM" $values.mail.from -}}
{{- else if eq $values.environment "production" -}}
{{- fail "mail.host: set it to your SMTP server" -}}
{{- end -}}
{{- $optional = concat $optional (list "AUTH_SMTP_PASSWORD" "REDIS_URL") -}}
{{- else -}}
{{- $origin := $values.logOrigin | default (include "smart-audit.host" .root) -}}
{{- $_ := set $plain "AUDIT_AUTH_ADDRESS" (printf "%s-auth:50051" $name) -}}
{{- $_ := set $plain "AUDIT_LOG_ORIGIN" $origin -}}
{{- if $values.audit.witnessPolicy -}}
{{- $_ := set $plain "AUDIT_WITNESS_POLICY_FILE" "/etc/smart-audit/witnesses" -}}
{{- end -}}
{{- $optional = append $optional "AUDIT_EMBEDDINGS_KEY" -}}
{{- end -}}
{{- range $key, $value := merge dict (index $values .component).settings $plain }}
- name: {{ $key }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- range $secrets }}
{{ include "smart-audit.secret" (dict "name" . "secret" $secret) }}
{{- end }}
{{- range $optional }}
{{ include "smart-audit.secret" (dict "name" . "secret" $secret "optional" true) }}
{{- end }}
{{- end }}

{{/* Where pods go: apart from each other, as far as there is room. Takes root and component. */}}
{{- define "smart-audit.placement" -}}
{{- $values := index .root.Values .component -}}
topologySpreadConstraints:
{{- $selector := include "smart-audit.selector" . }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- $selector | nindent 8 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What the deployments have in common, down to the pod. Takes root and component. */}}
{{- define "smart-audit.deployment" -}}
{{- $values := index .root.Values .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "smart-audit.name" .root }}-{{ .component }}
  labels: {{- include "smart-audit.labels" . | nindent 4 }}
spec:
  {{- if not $values.autoscaling.enabled }}
  replicas: {{ $values.replicas }}
  {{- end }}
  # The old pods serve until the new ones do.
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels: {{- include "smart-audit.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "smart-audit.labels" . | nindent 8 }}
      {{- with $values.podAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "smart-audit.name" .root }}-{{ .component }}
      {{- include "smart-audit.podSecurity" .root | nindent 6 }}
      {{- include "smart-audit.placement" . | nindent 6 }}
      terminationGracePeriodSeconds: 45
{{- end }}
