{{/* The chart's name in names of objects. */}}
{{- define "barnabas-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release's full name: that of the release alone where it holds the chart's name already. */}}
{{- define "barnabas-operator.fullname" -}}
{{- $name := include "barnabas-operator.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* The name of cluster-wide objects: with the namespace, so that two releases of one name do not meet. */}}
{{- define "barnabas-operator.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "barnabas-operator.fullname" .) }}
{{- end }}

{{- define "barnabas-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "barnabas-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "barnabas-operator.labels" -}}
{{ include "barnabas-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: barnabas
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "barnabas-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "barnabas-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "barnabas-operator.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}

{{/*
What the operator does in the namespaces that it serves; nothing is here that it does not use. What it makes and changes is
applied on the server's side, which takes "patch", and "create" for what is not there yet. It never asks for "update". What it
knows it has from watches; "get" is for objects that do not carry its label, which may be somebody else's.
*/}}
{{- define "barnabas-operator.rules" -}}
- apiGroups: [barnabas.dev]
  resources: [kafkaclusters]
  verbs: [list, watch]
# The finalizer of topics that are deleted with their resource.
- apiGroups: [barnabas.dev]
  resources: [kafkatopics]
  verbs: [list, watch, patch]
- apiGroups: [barnabas.dev]
  resources: [kafkaclusters/status, kafkatopics/status]
  verbs: [patch]
# To own objects with blockOwnerDeletion, where the API server asks for it (OwnerReferencesPermissionEnforcement).
- apiGroups: [barnabas.dev]
  resources: [kafkaclusters/finalizers]
  verbs: [update]
# Deleted to be made again over the same pods: the size of its volumes cannot be changed.
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
# Deleted when they are wanted no longer: the services of brokers that have left, a policy that is switched off.
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# Kubernetes deletes it with its KafkaCluster.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create, patch]
# Pods are made by StatefulSets; the operator restarts one by deleting it.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, delete]
# Claims are made by StatefulSets; the operator grows them, and deletes those of brokers that are gone for good.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [list, watch, patch, delete]
# Patched to count what happens again and again.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
