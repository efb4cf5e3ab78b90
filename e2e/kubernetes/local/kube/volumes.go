package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-helpers/storage/volume"
	"k8s.io/klog/v2"
)

const (
	provisionerName = "barnabas.local/volumes"
	provisionedBy   = "pv.kubernetes.io/provisioned-by"
	// What failed is tried again after this time; what changed is looked at when it changes.
	retryAfter = 2 * time.Second
)

// volumes provides the claims of one StorageClass with directories of this machine, as a cloud does with network disks.
//
// Kubernetes' own host-path provisioner does not do: kubelets do not apply a pod's fsGroup to such volumes, so that a
// process without root could write only because a directory is open to everybody, and a claim of them cannot grow. Here
// a volume is a `local` one, which belongs to root until fsGroup says otherwise, and which any node may mount.
//
// Each round compares all claims and volumes with what they should be, so no event has to be remembered.
type volumes struct {
	client    kubernetes.Interface
	directory string
	claims    func() ([]*core.PersistentVolumeClaim, error)
	existing  func() ([]*core.PersistentVolume, error)
}

func newVolumesCommand() *cobra.Command {
	var kubeconfig, directory string
	command := &cobra.Command{Use: "volumes", RunE: func(*cobra.Command, []string) error {
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			return err
		}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		return serveVolumes(ctx, client, directory)
	}}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	command.Flags().StringVar(&directory, "directory", "", "where each volume is a directory")
	return command
}

func serveVolumes(ctx context.Context, client kubernetes.Interface, directory string) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	claims, existing := factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()
	changed := make(chan struct{}, 1)
	wake := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	onChange := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { wake() },
		UpdateFunc: func(any, any) { wake() },
		DeleteFunc: func(any) { wake() },
	}
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), existing.Informer()} {
		if _, err := informer.AddEventHandler(onChange); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	v := volumes{
		client:    client,
		directory: directory,
		claims: func() ([]*core.PersistentVolumeClaim, error) {
			return claims.Lister().List(labels.Everything())
		},
		existing: func() ([]*core.PersistentVolume, error) { return existing.Lister().List(labels.Everything()) },
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		if err := v.round(ctx); err != nil {
			klog.ErrorS(err, "Volumes are not yet as they should be", "retryAfter", retryAfter)
			time.AfterFunc(retryAfter, wake)
		}
	}
}

func (v volumes) round(ctx context.Context) error {
	claims, err := v.claims()
	if err != nil {
		return err
	}
	existing, err := v.existing()
	if err != nil {
		return err
	}
	ours := map[string]*core.PersistentVolume{}
	var failures []error
	for _, pv := range existing {
		if pv.Annotations[provisionedBy] != provisionerName {
			continue
		}
		ours[pv.Name] = pv
		if pv.Status.Phase == core.VolumeReleased && pv.DeletionTimestamp == nil {
			failures = append(failures, v.remove(ctx, pv))
		}
	}
	for _, claim := range claims {
		pv := ours[claim.Spec.VolumeName]
		switch {
		case claim.DeletionTimestamp != nil:
		case claim.Spec.VolumeName == "" && claim.Annotations[volume.AnnStorageProvisioner] == provisionerName:
			if ours["pvc-"+string(claim.UID)] == nil {
				failures = append(failures, v.provision(ctx, claim))
			}
		case pv != nil && claim.Status.Phase == core.ClaimBound && grown(claim):
			failures = append(failures, v.grow(ctx, claim, pv))
		}
	}
	return errors.Join(failures...)
}

func (v volumes) provision(ctx context.Context, claim *core.PersistentVolumeClaim) error {
	class, err := v.client.StorageV1().StorageClasses().Get(ctx, *claim.Spec.StorageClassName, meta.GetOptions{})
	if err != nil {
		return err
	}
	name := "pvc-" + string(claim.UID)
	path := filepath.Join(v.directory, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	pv := &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: provisionerName}},
		Spec: core.PersistentVolumeSpec{
			Capacity:                      core.ResourceList{core.ResourceStorage: *claim.Spec.Resources.Requests.Storage()},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: *class.ReclaimPolicy,
			StorageClassName:              class.Name,
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: path}},
			NodeAffinity:                  anyNode(),
			ClaimRef: &core.ObjectReference{
				Kind: "PersistentVolumeClaim", APIVersion: "v1",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
		},
	}
	_, err = v.client.CoreV1().PersistentVolumes().Create(ctx, pv, meta.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// anyNode is what a `local` volume has to name, and a disk that follows its pod does not restrict.
func anyNode() *core.VolumeNodeAffinity {
	return &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
		MatchExpressions: []core.NodeSelectorRequirement{{Key: core.LabelHostname, Operator: core.NodeSelectorOpExists}},
	}}}}
}

func grown(claim *core.PersistentVolumeClaim) bool {
	return claim.Spec.Resources.Requests.Storage().Cmp(*claim.Status.Capacity.Storage()) > 0
}

// grow says of the volume and then of the claim that they have the size that is asked for: a directory has no size of its own.
func (v volumes) grow(ctx context.Context, claim *core.PersistentVolumeClaim, pv *core.PersistentVolume) error {
	size := *claim.Spec.Resources.Requests.Storage()
	if pv.Spec.Capacity.Storage().Cmp(size) < 0 {
		pv = pv.DeepCopy()
		pv.Spec.Capacity[core.ResourceStorage] = size
		if _, err := v.client.CoreV1().PersistentVolumes().Update(ctx, pv, meta.UpdateOptions{}); err != nil {
			return err
		}
	}
	claim = claim.DeepCopy()
	claim.Status.Capacity[core.ResourceStorage] = size
	claim.Status.Conditions = nil
	_, err := v.client.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(ctx, claim, meta.UpdateOptions{})
	return err
}

// remove forgets the data of a volume whose claim is gone, unless it is to be retained.
func (v volumes) remove(ctx context.Context, pv *core.PersistentVolume) error {
	if pv.Spec.PersistentVolumeReclaimPolicy != core.PersistentVolumeReclaimDelete {
		return nil
	}
	if filepath.Dir(pv.Spec.Local.Path) != filepath.Clean(v.directory) {
		return fmt.Errorf("volume %s lies at %s, not in %s: its data stays", pv.Name, pv.Spec.Local.Path, v.directory)
	}
	if err := os.RemoveAll(pv.Spec.Local.Path); err != nil {
		return err
	}
	err := v.client.CoreV1().PersistentVolumes().Delete(ctx, pv.Name, meta.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
