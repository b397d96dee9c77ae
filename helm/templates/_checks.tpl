{{/* What a schema cannot tell: values that do not go together end the rendering with one sentence. */}}
{{- define "tapereader.checks" -}}
{{- $partitions := int .Values.partitions -}}
{{- with .Values -}}
{{- if and (not .worker.keda.enabled) (gt (int .worker.replicas) $partitions) }}
{{- fail (printf "worker.replicas is %d and partitions is %d: a worker without a partition does nothing; lower worker.replicas, or raise partitions as docs/operations.md says" (int .worker.replicas) $partitions) }}
{{- end }}
{{- if and .worker.keda.enabled (gt (int .worker.keda.maxReplicas) $partitions) }}
{{- fail (printf "worker.keda.maxReplicas is %d and partitions is %d: a worker without a partition does nothing; lower worker.keda.maxReplicas" (int .worker.keda.maxReplicas) $partitions) }}
{{- end }}
{{- if and .worker.keda.enabled (gt (int .worker.keda.minReplicas) (int .worker.keda.maxReplicas)) }}
{{- fail (printf "worker.keda.minReplicas is %d and worker.keda.maxReplicas is %d: the least may not be above the most" (int .worker.keda.minReplicas) (int .worker.keda.maxReplicas)) }}
{{- end }}
{{- if and .gateway.autoscaling.enabled (gt (int .gateway.autoscaling.minReplicas) (int .gateway.autoscaling.maxReplicas)) }}
{{- fail (printf "gateway.autoscaling.minReplicas is %d and maxReplicas is %d: the least may not be above the most" (int .gateway.autoscaling.minReplicas) (int .gateway.autoscaling.maxReplicas)) }}
{{- end }}
{{- if and .kafka.bundled.enabled .kafka.bootstrapServers }}
{{- fail "kafka.bootstrapServers and kafka.bundled.enabled are both set: name your Kafka, or let the chart run one" }}
{{- end }}
{{- if not (or .kafka.bundled.enabled .kafka.bootstrapServers) }}
{{- fail "no Kafka: set kafka.bootstrapServers to yours (host:port,host:port), or kafka.bundled.enabled=true for a trial" }}
{{- end }}
{{- if and .kafka.bundled.enabled (or (gt (int .kafka.replicationFactor) 1) (gt (int .kafka.minInsyncReplicas) 1)) }}
{{- fail "kafka.bundled.enabled runs one broker: set kafka.replicationFactor=1 and kafka.minInsyncReplicas=1" }}
{{- end }}
{{- if gt (int .kafka.minInsyncReplicas) (int .kafka.replicationFactor) }}
{{- fail (printf "kafka.minInsyncReplicas is %d and kafka.replicationFactor is %d: nothing could be written" (int .kafka.minInsyncReplicas) (int .kafka.replicationFactor)) }}
{{- end }}
{{- if and .kafka.bundled.enabled (ne .kafka.securityProtocol "PLAINTEXT") }}
{{- fail "kafka.bundled.enabled speaks PLAINTEXT inside the cluster: leave kafka.securityProtocol, or use a Kafka of your own" }}
{{- end }}
{{- if and (hasPrefix "SASL" .kafka.securityProtocol) (not .kafka.sasl.existingSecret) }}
{{- fail (printf "kafka.securityProtocol is %s and kafka.sasl.existingSecret is empty: name the Secret with user name and password" .kafka.securityProtocol) }}
{{- end }}
{{- if and (hasPrefix "SASL" .kafka.securityProtocol) (eq .kafka.sasl.mechanism "OAUTHBEARER") (not .kafka.sasl.oauth.tokenUrl) }}
{{- fail "kafka.sasl.mechanism is OAUTHBEARER and kafka.sasl.oauth.tokenUrl is empty: name the token endpoint" }}
{{- end }}
{{- if and .worker.keda.enabled (hasPrefix "SASL" .kafka.securityProtocol) (eq .kafka.sasl.mechanism "OAUTHBEARER") }}
{{- fail "worker.keda.enabled does not go with OAUTHBEARER in this chart: KEDA wants the token endpoint in a Secret of its own; make a ScaledObject yourself" }}
{{- end }}
{{- if and .redis.bundled.enabled (or .redis.url .redis.existingSecret) }}
{{- fail "redis.bundled.enabled is set, and so is redis.url or redis.existingSecret: name your Redis, or let the chart run one" }}
{{- end }}
{{- if not (or .redis.bundled.enabled .redis.url .redis.existingSecret) }}
{{- fail "no Redis: set redis.url or redis.existingSecret to yours, or redis.bundled.enabled=true for a trial" }}
{{- end }}
{{- if regexMatch "://[^/@]*:[^/@]*@" .redis.url }}
{{- fail "redis.url holds a password: put the URL into a Secret and name it in redis.existingSecret" }}
{{- end }}
{{- if and (eq .source "massive") (not .massive.existingSecret) }}
{{- fail "source is massive and massive.existingSecret is empty: make one (kubectl create secret generic massive --from-literal=api-key=...) and name it, or set source=simulator" }}
{{- end }}
{{- if and .gateway.auth.open .gateway.auth.existingSecret }}
{{- fail "gateway.auth.open and gateway.auth.existingSecret are both set: let everyone in, or ask for the key" }}
{{- end }}
{{- $signIn := merge (dict) (.gateway.settings | default dict) (.settings | default dict) }}
{{- $provided := or (hasKey $signIn "gateway_oidc_issuer") (hasKey $signIn "gateway_jwt_jwks_url") }}
{{- $several := or .gateway.autoscaling.enabled (gt (int .gateway.replicas) 1) }}
{{- if and (hasKey $signIn "gateway_oidc_issuer") $several (not (and .gateway.auth.existingSecret (get .gateway.auth.keys "gateway_session_secret"))) }}
{{- fail "people sign in (gateway_oidc_issuer) at several gateways, and each would know its own sessions only: put a secret of 32 characters or more into gateway.auth.existingSecret and name its key in gateway.auth.keys.gateway_session_secret" }}
{{- end }}
{{- if not (or .gateway.auth.open .gateway.auth.existingSecret $provided) }}
{{- fail "the gateway would be open to everyone who reaches it: set gateway.auth.existingSecret, or gateway.auth.open=true where that is meant" }}
{{- end }}
{{- if and (eq .topics.mode "strimzi") (not .topics.strimzi.cluster) }}
{{- fail "topics.mode is strimzi and topics.strimzi.cluster is empty: name the Strimzi Kafka cluster" }}
{{- end }}
{{- if and (eq .topics.mode "strimzi") .kafka.bundled.enabled }}
{{- fail "topics.mode is strimzi and kafka.bundled.enabled is set: the bundled Kafka is not Strimzi's; use topics.mode=job" }}
{{- end }}
{{- end }}
{{- end }}
