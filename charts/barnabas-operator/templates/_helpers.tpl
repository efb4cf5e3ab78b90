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

{{/* What the operator does in the namespaces that it serves; nothing is here that it does not use. */}}
{{- define "barnabas-operator.rules" -}}
- apiGroups: [barnabas.dev]
  resources: [kafkaclusters, kafkatopics]
  verbs: [get, list, watch, patch, update]
# To own objects with blockOwnerDeletion.
- apiGroups: [barnabas.dev]
  resources: [kafkaclusters/finalizers, kafkatopics/finalizers]
  verbs: [update]
- apiGroups: [barnabas.dev]
  resources: [kafkaclusters/status, kafkatopics/status]
  verbs: [get, patch, update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [""]
  resources: [services, configmaps, serviceaccounts]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, update, delete]
# Pods are made by StatefulSets; the operator restarts one by deleting it.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
# Claims are made by StatefulSets; the operator grows them, and deletes those of brokers that are gone for good.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
