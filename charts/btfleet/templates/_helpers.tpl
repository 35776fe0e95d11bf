{{/* How every object's name begins. Long release names are cut: an account's or a policy's name must stay one. */}}
{{- define "btfleet.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name -}}
{{- end -}}
{{- end -}}

{{/* The labels of every object of a part: (list $ "agent"). */}}
{{- define "btfleet.labels" -}}
{{- $root := index . 0 -}}
{{ include "btfleet.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What never changes of them: whom a Service, a Deployment and a policy mean. */}}
{{- define "btfleet.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: btfleet
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* An image's name: (list $ image defaultTag). */}}
{{- define "btfleet.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := $root.Values.imageRegistry | default $image.registry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest -}}@{{ $image.digest }}{{- else -}}:{{ $image.tag | default (index . 2) }}{{- end -}}
{{- end -}}

{{- define "btfleet.own-image" -}}
image: {{ include "btfleet.image" (list . .Values.image .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end -}}

{{/* Pod Security `restricted`, of the pod. */}}
{{- define "btfleet.pod-security" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* The same, of a container. */}}
{{- define "btfleet.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* A pod's annotations: (list $ part). */}}
{{- define "btfleet.pod-annotations" -}}
{{- $all := merge (dict) (index . 1) (index . 0).Values.podAnnotations -}}
{{- with $all }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "btfleet.pull-secrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "btfleet.bundled" -}}
{{- if not .Values.store.url }}true{{ end -}}
{{- end -}}

{{- define "btfleet.store-host" -}}
{{ include "btfleet.fullname" . }}-store.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* The Secret with a part's credentials; nothing: a cloud identity. (list $ "agent") */}}
{{- define "btfleet.secret" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- $own := (get $root.Values $part).existingSecret -}}
{{- if include "btfleet.bundled" $root -}}
{{- get $root.Values.store.bundled.existingSecrets $part | default (printf "%s-store-%s" (include "btfleet.fullname" $root) $part) -}}
{{- else -}}
{{- $own | default $root.Values.store.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "btfleet.root-secret" -}}
{{- .Values.store.bundled.existingSecrets.root | default (printf "%s-store-root" (include "btfleet.fullname" .)) -}}
{{- end -}}

{{/* Where the store is, as variables: (list $ "agent"). */}}
{{- define "btfleet.store-env" -}}
{{- $root := index . 0 -}}
{{- $store := $root.Values.store -}}
- name: BTFLEET_STORE
  value: {{ $store.url | default "s3://btfleet/fleet" | quote }}
{{- if include "btfleet.bundled" $root }}
- name: BTFLEET_S3_ENDPOINT
  value: http://{{ include "btfleet.store-host" $root }}:7070
- name: BTFLEET_S3_REGION
  value: us-east-1
{{- else }}
{{- with $store.endpoint }}
- name: BTFLEET_S3_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with $store.region }}
- name: BTFLEET_S3_REGION
  value: {{ . | quote }}
{{- end }}
{{- if not (kindIs "invalid" $store.pathStyle) }}
- name: BTFLEET_S3_PATH_STYLE
  value: {{ $store.pathStyle | quote }}
{{- end }}
{{- if $root.Values.ca.configMap }}
- name: BTFLEET_S3_CA_FILE
  value: /etc/btfleet/ca/{{ $root.Values.ca.key }}
{{- end }}
{{- end }}
{{- if include "btfleet.secret" . }}
- name: AWS_SHARED_CREDENTIALS_FILE
  value: /etc/btfleet/s3/credentials
- name: AWS_EC2_METADATA_DISABLED
  value: "true"
{{- end }}
{{- with $root.Values.proxy }}
{{- if .http }}
- name: HTTP_PROXY
  value: {{ .http | quote }}
{{- end }}
{{- if .https }}
- name: HTTPS_PROXY
  value: {{ .https | quote }}
{{- end }}
{{- if or .http .https }}
- name: NO_PROXY
  value: {{ list .noProxy ".svc,.svc.cluster.local,localhost,127.0.0.1" | compact | join "," | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What a part mounts: (list $ "agent"). A Secret is mounted as a folder: kubelet changes it under the process, which
reads it again each minute. */}}
{{- define "btfleet.mounted" -}}
{{- $root := index . 0 -}}
{{- $values := get $root.Values (index . 1) -}}
{{- $volumes := list -}}
{{- $mounts := list -}}
{{- with include "btfleet.secret" . -}}
{{- $items := list (dict "key" "credentials" "path" "credentials") -}}
{{- $volumes = append $volumes (dict "name" "s3" "secret" (dict "secretName" . "items" $items)) -}}
{{- $mounts = append $mounts (dict "name" "s3" "mountPath" "/etc/btfleet/s3" "readOnly" true) -}}
{{- end -}}
{{- if and $root.Values.ca.configMap (not (include "btfleet.bundled" $root)) -}}
{{- $volumes = append $volumes (dict "name" "ca" "configMap" (dict "name" $root.Values.ca.configMap)) -}}
{{- $mounts = append $mounts (dict "name" "ca" "mountPath" "/etc/btfleet/ca" "readOnly" true) -}}
{{- end -}}
{{- with dig "tls" "secret" "" $values -}}
{{- $volumes = append $volumes (dict "name" "tls" "secret" (dict "secretName" .)) -}}
{{- $mounts = append $mounts (dict "name" "tls" "mountPath" "/etc/btfleet/tls" "readOnly" true) -}}
{{- end -}}
{{- $volumes = concat $volumes $values.extraVolumes -}}
{{- $mounts = concat $mounts $values.extraVolumeMounts -}}
{{- dict "volumes" $volumes "mounts" $mounts | toJson -}}
{{- end -}}

{{- define "btfleet.mounts" -}}
{{- with (include "btfleet.mounted" . | fromJson).mounts -}}
volumeMounts:
{{- toYaml . | nindent 0 }}
{{- end -}}
{{- end -}}

{{- define "btfleet.volumes" -}}
{{- with (include "btfleet.mounted" . | fromJson).volumes -}}
volumes:
{{- toYaml . | nindent 0 }}
{{- end -}}
{{- end -}}

{{- define "btfleet.common-env" -}}
- name: BTFLEET_LOG_FORMAT
  value: {{ .Values.log.format }}
- name: BTFLEET_LOG_LEVEL
  value: {{ .Values.log.level }}
{{- with .Values.clusterId }}
- name: BTFLEET_CLUSTER_ID
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Where a Deployment's pods may run: (list $ "server" values). */}}
{{- define "btfleet.placement" -}}
{{- $values := index . 2 -}}
nodeSelector:
  {{- toYaml (merge (dict "kubernetes.io/os" "linux") $values.nodeSelector) | nindent 2 }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* One node's end must not take all replicas. */}}
{{- define "btfleet.spread" -}}
topologySpreadConstraints:
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "btfleet.selector" $ | nindent 6 }}
{{- end }}
{{- end -}}
