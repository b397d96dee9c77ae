{{/* Parts of every pod. */}}

{{- define "tapereader.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "tapereader.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
privileged: false
capabilities:
  drop: [ALL]
{{- end }}

{{/* Account, pull secrets, security context: root. */}}
{{- define "tapereader.podCommon" -}}
serviceAccountName: {{ include "tapereader.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "tapereader.podSecurity" . | nindent 2 }}
{{- end }}

{{/* Where a component's pods go: (list root component). */}}
{{- define "tapereader.placement" -}}
{{- $own := get (index . 0).Values (index . 1) -}}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "tapereader.selector" . | nindent 14 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "tapereader.selector" . | nindent 8 }}
{{- with $own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "tapereader.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if and (hasSuffix "SSL" .Values.kafka.securityProtocol) .Values.kafka.tls.existingSecret }}
- name: kafka-tls
  mountPath: /etc/tapereader/kafka-tls
  readOnly: true
{{- end }}
{{- end }}

{{- define "tapereader.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if and (hasSuffix "SSL" .Values.kafka.securityProtocol) .Values.kafka.tls.existingSecret }}
- name: kafka-tls
  secret:
    secretName: {{ .Values.kafka.tls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{/* A container of Tapereader up to its probes: (list root component arguments). */}}
{{- define "tapereader.container" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
name: {{ $component }}
image: {{ include "tapereader.image" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
args: {{ index . 2 | toJson }}
{{ include "tapereader.environment" (list $root $component) }}
resources:
  {{- (get $root.Values $component).resources | toYaml | nindent 2 }}
securityContext:
  {{- include "tapereader.containerSecurity" $root | nindent 2 }}
volumeMounts:
  {{- include "tapereader.mounts" $root | nindent 2 }}
{{- end }}

{{/* Waits for the topics: the pod begins when they are there and as declared. (list root component) */}}
{{- define "tapereader.waitForTopics" -}}
{{- $root := index . 0 -}}
- name: wait-for-topics
  image: {{ include "tapereader.image" $root }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args: [topics, check]
  {{- include "tapereader.environment" (list $root "topics") | nindent 2 }}
  resources:
    {{- toYaml $root.Values.topics.resources | nindent 4 }}
  securityContext:
    {{- include "tapereader.containerSecurity" $root | nindent 4 }}
  volumeMounts:
    {{- include "tapereader.mounts" $root | nindent 4 }}
{{- end }}

{{/* An HTTP probe: (list path port period failures). */}}
{{- define "tapereader.probe" -}}
httpGet:
  path: {{ index . 0 }}
  port: {{ index . 1 }}
periodSeconds: {{ index . 2 }}
timeoutSeconds: 3
failureThreshold: {{ index . 3 }}
{{- end }}
