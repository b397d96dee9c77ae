{{/* The environment of Tapereader's processes: every variable is a setting of app/settings. */}}

{{/* A value as a setting is written: lists by commas, maps as JSON, whole numbers without exponent. */}}
{{- define "tapereader.asSetting" -}}
{{- if kindIs "slice" . -}}
{{ join "," . }}
{{- else if kindIs "map" . -}}
{{ toJson . }}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{ int64 . }}
{{- else -}}
{{ . }}
{{- end -}}
{{- end }}

{{/* A map `settings` of the values as variables (YAML map). */}}
{{- define "tapereader.settings" -}}
{{- range $name, $value := . }}
{{- if regexMatch "(api_keys?|password|secret|encryption_key)$" $name }}
{{- fail (printf "settings.%s is a secret: put it into a Secret of yours and name it (massive.existingSecret, gateway.auth.existingSecret, kafka.sasl.existingSecret, or extraEnv with valueFrom)" $name) }}
{{- end }}
TAPEREADER_{{ upper $name }}: {{ include "tapereader.asSetting" $value | quote }}
{{- end }}
{{- end }}

{{/* Variables of a component that are no secrets (YAML map): (list root component). */}}
{{- define "tapereader.variables" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- with $root.Values -}}
KAFKA_BOOTSTRAP_SERVERS: {{ include "tapereader.bootstrapServers" $root | quote }}
TAPEREADER_PARTITIONS: {{ int .partitions | quote }}
TAPEREADER_REPLICATION_FACTOR: {{ int .kafka.replicationFactor | quote }}
TAPEREADER_MIN_INSYNC_REPLICAS: {{ int .kafka.minInsyncReplicas | quote }}
TAPEREADER_TOPIC_PREFIX: {{ include "tapereader.topicPrefix" $root | quote }}
TAPEREADER_APP_ID: {{ include "tapereader.appId" $root | quote }}
TAPEREADER_LOG_LEVEL: {{ .logLevel | quote }}
TAPEREADER_LOG_JSON: "true"
TAPEREADER_SOURCE: {{ .source | quote }}
{{- if .redis.bundled.enabled }}
REDIS_URL: {{ printf "redis://%s-redis:6379/0" (include "tapereader.fullname" $root) | quote }}
{{- else if not .redis.existingSecret }}
REDIS_URL: {{ .redis.url | quote }}
{{- end }}
{{- if eq .source "simulator" }}
TAPEREADER_SIMULATOR_PORT: {{ int .simulator.port | quote }}
TAPEREADER_SIMULATOR_HOST: {{ ternary "0.0.0.0" (printf "%s-simulator" (include "tapereader.fullname" $root)) (eq $component "simulator") | quote }}
{{- end }}
{{- with .massive.feed }}
TAPEREADER_MASSIVE_FEED: {{ . | quote }}
{{- end }}
{{- with .massive.restUrl }}
TAPEREADER_MASSIVE_REST_URL: {{ . | quote }}
{{- end }}
{{- include "tapereader.kafkaSecurity" $root }}
{{- if eq $component "producer" }}
TAPEREADER_HTTP_HOST: "0.0.0.0"
TAPEREADER_CONTROL_PORT: {{ int .producer.port | quote }}
{{- with .massive.subscriptions }}
TAPEREADER_SUBSCRIPTIONS: {{ join "," . | quote }}
{{- end }}
{{- else if eq $component "worker" }}
TAPEREADER_WORKER_HTTP_HOST: "0.0.0.0"
TAPEREADER_WORKER_HTTP_PORT: {{ int .worker.port | quote }}
TAPEREADER_SESSION_TIMEOUT_MS: {{ int .worker.sessionTimeoutMs | quote }}
{{- else if eq $component "gateway" }}
TAPEREADER_HTTP_HOST: "0.0.0.0"
TAPEREADER_HTTP_PORT: {{ int .gateway.port | quote }}
{{- if .gateway.auth.open }}
{{- $service := printf "%s-gateway" (include "tapereader.fullname" $root) }}
{{- $inside := list $service (printf "%s.%s" $service $root.Release.Namespace) (printf "%s.%s.svc" $service $root.Release.Namespace) (printf "%s.%s.svc.cluster.local" $service $root.Release.Namespace) }}
TAPEREADER_GATEWAY_OPEN: "true"
TAPEREADER_GATEWAY_HOSTS: {{ join "," (ternary (concat $inside .gateway.ingress.hosts) $inside .gateway.ingress.enabled) | quote }}
{{- end }}
{{- if and .producer.enabled (ne .source "none") }}
TAPEREADER_GATEWAY_CONTROL_URL: http://{{ include "tapereader.fullname" $root }}-producer:{{ int .producer.port }}
{{- end }}
{{- if and .gateway.ingress.enabled .gateway.ingress.tlsSecret }}
TAPEREADER_GATEWAY_PUBLIC_URL: https://{{ first .gateway.ingress.hosts }}
{{- end }}
{{- else if eq $component "simulator" }}
TAPEREADER_SYMBOLS: {{ int .simulator.symbols | quote }}
TAPEREADER_SPEED: {{ include "tapereader.asSetting" .simulator.speed | quote }}
{{- end }}
{{- include "tapereader.settings" .settings }}
{{- end }}
{{- end }}

{{/* How Kafka is talked to, without secrets (part of a YAML map). */}}
{{- define "tapereader.kafkaSecurity" -}}
{{- with .Values.kafka }}
{{- if ne .securityProtocol "PLAINTEXT" }}
TAPEREADER_KAFKA_SECURITY_PROTOCOL: {{ .securityProtocol | quote }}
{{- if hasPrefix "SASL" .securityProtocol }}
TAPEREADER_KAFKA_SASL_MECHANISM: {{ .sasl.mechanism | quote }}
{{- if eq .sasl.mechanism "OAUTHBEARER" }}
TAPEREADER_KAFKA_OAUTH_TOKEN_URL: {{ .sasl.oauth.tokenUrl | quote }}
{{- with .sasl.oauth.scope }}
TAPEREADER_KAFKA_OAUTH_SCOPE: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (hasSuffix "SSL" .securityProtocol) .tls.existingSecret }}
{{- with .tls.caKey }}
TAPEREADER_KAFKA_TLS_CA_FILE: /etc/tapereader/kafka-tls/{{ . }}
{{- end }}
{{- with .tls.certKey }}
TAPEREADER_KAFKA_TLS_CERTIFICATE_FILE: /etc/tapereader/kafka-tls/{{ . }}
{{- end }}
{{- with .tls.keyKey }}
TAPEREADER_KAFKA_TLS_KEY_FILE: /etc/tapereader/kafka-tls/{{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A variable from a secret: (list variable secret key). */}}
{{- define "tapereader.fromSecret" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 }}
      key: {{ index . 2 }}
{{- end }}

{{/* Secrets of a component, by reference (YAML list): (list root component). */}}
{{- define "tapereader.secrets" -}}
{{- $component := index . 1 -}}
{{- with (index . 0).Values }}
{{- if and .massive.existingSecret (has $component (list "producer" "worker" "gateway")) }}
{{ include "tapereader.fromSecret" (list "MASSIVE_API_KEY" .massive.existingSecret .massive.existingSecretKey) }}
{{- end }}
{{- if and .redis.existingSecret (not .redis.bundled.enabled) (ne $component "simulator") }}
{{ include "tapereader.fromSecret" (list "REDIS_URL" .redis.existingSecret .redis.existingSecretKey) }}
{{- end }}
{{- if and (hasPrefix "SASL" .kafka.securityProtocol) (ne $component "simulator") }}
{{- $names := ternary (list "OAUTH_CLIENT_ID" "OAUTH_CLIENT_SECRET") (list "USERNAME" "PASSWORD") (eq .kafka.sasl.mechanism "OAUTHBEARER") }}
{{ include "tapereader.fromSecret" (list (printf "TAPEREADER_KAFKA_%s" (first $names)) .kafka.sasl.existingSecret .kafka.sasl.usernameKey) }}
{{ include "tapereader.fromSecret" (list (printf "TAPEREADER_KAFKA_%s" (last $names)) .kafka.sasl.existingSecret .kafka.sasl.passwordKey) }}
{{- end }}
{{- if and (eq $component "gateway") .gateway.auth.existingSecret }}
{{- $secret := .gateway.auth.existingSecret }}
{{- range $name, $key := .gateway.auth.keys }}
{{- if $key }}
{{ include "tapereader.fromSecret" (list (printf "TAPEREADER_%s" (upper $name)) $secret $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The key of the gateway's API key in its secret; empty: clients are told apart by something else, or not at all. */}}
{{- define "tapereader.gatewayKey" -}}
{{- if .Values.gateway.auth.existingSecret -}}
{{ get .Values.gateway.auth.keys "gateway_api_key" }}
{{- end -}}
{{- end }}

{{/* `env` and `envFrom` of a component's container: (list root component). */}}
{{- define "tapereader.environment" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $own := get $root.Values $component | default dict -}}
{{- $variables := include "tapereader.variables" . | fromYaml -}}
{{- with $own.settings }}
{{- $variables = mergeOverwrite $variables (include "tapereader.settings" . | fromYaml) }}
{{- end -}}
env:
{{- range $name, $value := $variables }}
  - name: {{ $name }}
    value: {{ $value | quote }}
{{- end }}
{{- if eq $component "worker" }}
  # A worker that comes back under its name within the session's time-out keeps its partitions.
  - name: TAPEREADER_GROUP_INSTANCE_ID
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
{{- end }}
{{- with include "tapereader.secrets" . | trim }}
  {{- . | nindent 2 }}
{{- end }}
{{- with concat ($root.Values.extraEnv | default list) ($own.extraEnv | default list) }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
