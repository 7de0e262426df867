{{- define "switchyard.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 44 | trimSuffix "-" -}}
{{- end -}}

{{/* What all names begin with. The longest that follows is "-controller-metrics", of a Service, which has 63 characters and no dot. */}}
{{- define "switchyard.fullname" -}}
{{- $name := include "switchyard.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | replace "." "-" | trunc 44 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels of everything; give a dict with "root" and "component". Quoted, since a release may be called 123. */}}
{{- define "switchyard.labels" -}}
{{ include "switchyard.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "switchyard.selectorLabels" -}}
app.kubernetes.io/name: {{ include "switchyard.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "switchyard.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "switchyard.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The URL of the first cluster of a kubeconfig that is one key of a ConfigMap; empty where there is none. */}}
{{- define "switchyard.serverOf" -}}
{{- $data := default dict .map.data -}}
{{- range $key := .keys -}}
{{- with index $data $key -}}
{{- $clusters := default list (fromYaml .).clusters -}}
{{- if $clusters -}}{{- (first $clusters).cluster.server -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* host and port of the API server as JSON. */}}
{{- define "switchyard.apiServer" -}}
{{- if .Values.apiServer.host -}}
{{- dict "host" .Values.apiServer.host "port" (int .Values.apiServer.port | toString) | toJson -}}
{{- else -}}
{{- $proxy := lookup "v1" "ConfigMap" "kube-system" "kube-proxy" -}}
{{- $info := lookup "v1" "ConfigMap" "kube-public" "cluster-info" -}}
{{- $found := include "switchyard.serverOf" (dict "map" $proxy "keys" (list "kubeconfig.conf" "kubeconfig")) -}}
{{- $server := default (include "switchyard.serverOf" (dict "map" $info "keys" (list "kubeconfig"))) $found -}}
{{- if not (hasPrefix "https://" $server) -}}
{{- fail "apiServer.host is needed: an address of the API server that every node reaches without a Service proxy. See `kubectl cluster-info` for the one that you use, and presets/ for RKE2, k3s and clouds" -}}
{{- end -}}
{{- $host := (urlParse $server).host -}}
{{- $port := default "443" (regexFind ":[0-9]+$" $host | trimPrefix ":") -}}
{{- dict "host" (regexReplaceAll ":[0-9]+$" $host "" | trimPrefix "[" | trimSuffix "]") "port" $port | toJson -}}
{{- end -}}
{{- end -}}

{{/* The kubelet would name the ClusterIP here; what a container says itself wins. */}}
{{- define "switchyard.apiServerEnv" -}}
{{- if .Values.apiServer.configMap -}}
- name: KUBERNETES_SERVICE_HOST
  valueFrom:
    configMapKeyRef:
      name: {{ .Values.apiServer.configMap | quote }}
      key: host
- name: KUBERNETES_SERVICE_PORT
  valueFrom:
    configMapKeyRef:
      name: {{ .Values.apiServer.configMap | quote }}
      key: port
{{- else -}}
{{- $server := include "switchyard.apiServer" . | fromJson -}}
- name: KUBERNETES_SERVICE_HOST
  value: {{ $server.host | quote }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ $server.port | quote }}
{{- end -}}
{{- end -}}

{{- define "switchyard.agentMetricsAddress" -}}
{{- $isScraped := or .Values.monitoring.podMonitor.enabled .Values.monitoring.serviceMonitor.enabled -}}
{{- printf "%s:%d" (default (ternary "0.0.0.0" "127.0.0.1" $isScraped) .Values.agent.metrics.address) (int .Values.agent.metrics.port) -}}
{{- end -}}

{{/* For what needs no rights on a node. */}}
{{- define "switchyard.plainSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Root, but with named capabilities only. Give a dict with "root" and "loadsModules". */}}
{{- define "switchyard.nodeSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsUser: 0
runAsGroup: 0
capabilities:
  drop: [ALL]
  add:
    - NET_ADMIN
    {{- if .loadsModules }}
    - SYS_MODULE
    {{- end }}
    {{- if eq .root.Values.agent.iptables "legacy" }}
    - NET_RAW
    {{- end }}
seccompProfile:
  type: RuntimeDefault
{{- with .root.Values.agent.seLinuxOptions }}
seLinuxOptions:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "switchyard.nodeEnv" -}}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{ include "switchyard.apiServerEnv" . }}
{{- if eq .Values.agent.iptables "legacy" }}
- name: PATH
  value: /opt/iptables-legacy:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
{{- end }}
{{- with .Values.agent.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "switchyard.nodeArgs" -}}
- --node-name=$(NODE_NAME)
- --state-dir=/var/lib/switchyard
- --proc-sys-dir=/host/proc/sys
- --sysctl-dir={{ ternary "/host/sysctl.d" "" .Values.agent.bootFiles }}
- --modules-load-dir={{ ternary "/host/modules-load.d" "" .Values.agent.bootFiles }}
- --log-level={{ .Values.agent.logLevel }}
{{- end -}}

{{- define "switchyard.nodeMounts" -}}
- name: state
  mountPath: /var/lib/switchyard
- name: proc-sys
  mountPath: /host/proc/sys
- name: modules
  mountPath: /lib/modules
  readOnly: true
- name: xtables-lock
  mountPath: /run/xtables.lock
{{- if .Values.agent.bootFiles }}
- name: sysctl-d
  mountPath: /host/sysctl.d
- name: modules-load-d
  mountPath: /host/modules-load.d
{{- end }}
{{- end -}}

{{/* An address for all addresses is asked at the node's own; a single one must be named. */}}
{{- define "switchyard.agentProbe" -}}
{{- $address := include "switchyard.agentMetricsAddress" . | regexFind "^.*:" | trimSuffix ":" | trimPrefix "[" | trimSuffix "]" -}}
httpGet:
  path: /healthz
  port: {{ int .Values.agent.metrics.port }}
  scheme: HTTP
  {{- if eq $address "::" }}
  host: ::1
  {{- else }}
  host: {{ ternary "127.0.0.1" $address (eq $address "0.0.0.0") }}
  {{- end }}
timeoutSeconds: 5
{{- end -}}

{{/* Where a pod of a hook runs: as the controller. */}}
{{- define "switchyard.shortLivedPod" -}}
{{- if .Values.controller.hostNetwork }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- end }}
{{- with .Values.controller.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- include "switchyard.pullSecrets" . }}
nodeSelector:
  kubernetes.io/os: linux
  {{- with .Values.controller.nodeSelector }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.controller.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The job names that the alerts look for, and the node as a label. Give a dict with "root" and "component". */}}
{{- define "switchyard.relabelings" -}}
- targetLabel: job
  replacement: {{ eq .component "agent" | ternary .root.Values.monitoring.agentJob "switchyard-controller" }}
{{- if eq .component "agent" }}
{{- /* The controller's series have a label node of their own. */}}
- sourceLabels: [__meta_kubernetes_pod_node_name]
  targetLabel: node
{{- end }}
{{- end -}}

{{/* What people may read. */}}
{{- define "switchyard.viewRules" -}}
- apiGroups: [switchyard.dev]
  resources: [proxyprofiles, nodeproxystates]
  verbs: [get, list, watch]
- apiGroups: ['']
  resources: [services, pods, nodes]
  verbs: [get, list]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list]
- apiGroups: [networking.k8s.io]
  resources: [servicecidrs]
  verbs: [list]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [list]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [list]
# What `import` makes a profile out of.
- apiGroups: ['']
  resources: [configmaps]
  resourceNames: [kube-proxy]
  verbs: [get]
{{- end -}}
