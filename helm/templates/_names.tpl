{{/* Names and labels. */}}

{{- define "tapereader.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 36 | trimSuffix "-" }}
{{- end }}

{{/* Prefix of every resource's name; short enough for what is added to it. */}}
{{- define "tapereader.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 36 | trimSuffix "-" }}
{{- else if contains (include "tapereader.name" .) .Release.Name -}}
{{ .Release.Name | trunc 36 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (include "tapereader.name" .) | trunc 36 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* Labels that select the pods of a component: (list root component). */}}
{{- define "tapereader.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "tapereader.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* All labels of a component's resource: (list root component). */}}
{{- define "tapereader.labels" -}}
{{- $root := index . 0 -}}
{{ include "tapereader.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tapereader
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels of a component's pods: without versions, so that a new chart alone starts no worker again. (list root component) */}}
{{- define "tapereader.podLabels" -}}
{{ include "tapereader.selector" . }}
app.kubernetes.io/part-of: tapereader
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tapereader.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "tapereader.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- define "tapereader.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "tapereader.bootstrapServers" -}}
{{- if .Values.kafka.bundled.enabled -}}
{{ include "tapereader.fullname" . }}-kafka:9092
{{- else -}}
{{ .Values.kafka.bootstrapServers }}
{{- end -}}
{{- end }}

{{/* What stands before the name of every topic: several releases on one Kafka have topics of their own. */}}
{{- define "tapereader.topicPrefix" -}}
{{- if kindIs "string" .Values.topicPrefix -}}
{{ .Values.topicPrefix }}
{{- else -}}
{{ .Release.Name }}.
{{- end -}}
{{- end }}

{{/* The workers' consumer group, which owns the topics. */}}
{{- define "tapereader.appId" -}}
{{ .Values.appId | default (printf "%stapereader" (include "tapereader.topicPrefix" .)) }}
{{- end }}
