package servers

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

var (
	argoApplications = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
	argoRollouts     = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}
)

// ArgoApplications defines Argo CD's Applications, and returns a client of them
// as Admin once they are served. The definition is the vendor's own where
// SIGNALBOX_CONTRACTS has it, and else the one of this package.
func (k *KubeServer) ArgoApplications() dynamic.NamespaceableResourceInterface {
	k.t.Helper()
	definition := applicationDefinition
	if theirs := Contract(k.t, applicationContract); theirs != "" {
		definition = theirs
	} else {
		k.t.Logf("Applications are defined by us, NOT by Argo CD: SIGNALBOX_CONTRACTS has no %s", applicationContract)
	}
	return k.define(object(k.t, definition), argoApplications)
}

// ArgoRollouts is ArgoApplications for the Rollouts of Argo Rollouts, by the
// definition of this package.
func (k *KubeServer) ArgoRollouts() dynamic.NamespaceableResourceInterface {
	k.t.Helper()
	return k.define(object(k.t, rolloutDefinition), argoRollouts)
}

// define makes a CustomResourceDefinition, and waits until its resource is served.
func (k *KubeServer) define(definition *unstructured.Unstructured, resource schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	k.t.Helper()
	client := k.Dynamic(Admin)
	if _, err := client.Resource(definitions).Create(k.t.Context(), definition, metav1.CreateOptions{}); err != nil {
		k.t.Fatal(err)
	}
	Await(k.t, Patience, resource.Resource+" to be served", func(ctx context.Context) error {
		_, err := client.Resource(resource).List(ctx, metav1.ListOptions{})
		return err
	})
	return client.Resource(resource)
}

// applicationContract is where Argo CD's own definition is among the contracts.
const applicationContract = "argocd/application-crd.yaml"

// Contract is a document of a vendor's, or a recording, which are no part of the
// project; "" where SIGNALBOX_CONTRACTS is not set or does not have it.
func Contract(t testing.TB, path string) string {
	t.Helper()
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// applicationDefinition holds what is read and written of an Application, by
// https://argo-cd.readthedocs.io/en/stable/user-guide/application-specification/.
// What it does not name is dropped by the API server. As in Argo CD's, the status
// is no subresource.
const applicationDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: applications.argoproj.io}
spec:
  group: argoproj.io
  scope: Namespaced
  names: {kind: Application, listKind: ApplicationList, plural: applications, singular: application}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          required: [metadata, spec]
          properties:
            metadata: {type: object}
            spec:
              type: object
              required: [destination, project]
              properties:
                project: {type: string}
                revisionHistoryLimit: {type: integer, format: int64}
                destination: &destination
                  type: object
                  properties:
                    name: {type: string}
                    namespace: {type: string}
                    server: {type: string}
                source: &source
                  type: object
                  required: [repoURL]
                  properties:
                    repoURL: {type: string}
                    path: {type: string}
                    chart: {type: string}
                    ref: {type: string}
                    targetRevision: {type: string}
                    helm: {type: object, x-kubernetes-preserve-unknown-fields: true}
                sources: &sources {type: array, items: *source}
                syncPolicy:
                  type: object
                  properties:
                    automated:
                      type: object
                      properties:
                        allowEmpty: {type: boolean}
                        enabled: {type: boolean}
                        prune: {type: boolean}
                        selfHeal: {type: boolean}
                    retry: &retry
                      type: object
                      properties:
                        limit: {type: integer, format: int64}
                        backoff:
                          type: object
                          properties:
                            duration: {type: string}
                            factor: {type: integer, format: int64}
                            maxDuration: {type: string}
                    syncOptions: &texts {type: array, items: {type: string}}
            operation: &operation
              type: object
              properties:
                info:
                  type: array
                  items:
                    type: object
                    required: [name, value]
                    properties:
                      name: {type: string}
                      value: {type: string}
                initiatedBy:
                  type: object
                  properties:
                    automated: {type: boolean}
                    username: {type: string}
                retry: *retry
                sync:
                  type: object
                  properties:
                    prune: {type: boolean}
                    revision: {type: string}
                    revisions: *texts
                    source: *source
                    sources: *sources
                    syncOptions: *texts
                    syncStrategy:
                      type: object
                      properties:
                        apply: {type: object, properties: {force: {type: boolean}}}
                        hook: {type: object, properties: {force: {type: boolean}}}
            status:
              type: object
              properties:
                health: &health
                  type: object
                  properties:
                    status: {type: string}
                    message: {type: string}
                    lastTransitionTime: {type: string, format: date-time}
                history:
                  type: array
                  items:
                    type: object
                    required: [deployedAt, id]
                    properties:
                      id: {type: integer, format: int64}
                      deployedAt: {type: string, format: date-time}
                      deployStartedAt: {type: string, format: date-time}
                      revision: {type: string}
                      revisions: *texts
                      source: *source
                      sources: *sources
                operationState:
                  type: object
                  required: [operation, phase, startedAt]
                  properties:
                    operation: *operation
                    phase: {type: string}
                    message: {type: string}
                    startedAt: {type: string, format: date-time}
                    finishedAt: {type: string, format: date-time}
                resources:
                  type: array
                  items:
                    type: object
                    properties:
                      group: {type: string}
                      version: {type: string}
                      kind: {type: string}
                      namespace: {type: string}
                      name: {type: string}
                      status: {type: string}
                      health: *health
                sync:
                  type: object
                  required: [status]
                  properties:
                    status: {type: string}
                    revision: {type: string}
                    revisions: *texts
`

// rolloutDefinition holds what is read and written of a Rollout, by
// https://argoproj.github.io/argo-rollouts/features/specification/. The
// status is a subresource.
const rolloutDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rollouts.argoproj.io}
spec:
  group: argoproj.io
  scope: Namespaced
  names: {kind: Rollout, listKind: RolloutList, plural: rollouts, singular: rollout}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              properties:
                paused: {type: boolean}
                replicas: {type: integer}
                restartAt: {type: string, format: date-time}
                selector: {type: object, x-kubernetes-preserve-unknown-fields: true}
                template: {type: object, x-kubernetes-preserve-unknown-fields: true}
                workloadRef: {type: object, x-kubernetes-preserve-unknown-fields: true}
                strategy: {type: object, x-kubernetes-preserve-unknown-fields: true}
            status:
              type: object
              properties:
                abort: {type: boolean}
                phase: {type: string}
                message: {type: string}
                observedGeneration: {type: string}
                currentPodHash: {type: string}
                restartedAt: {type: string, format: date-time}
                replicas: {type: integer}
                updatedReplicas: {type: integer}
                readyReplicas: {type: integer}
                availableReplicas: {type: integer}
                conditions: {type: array, items: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`
