/** What is known of an end-to-end file. */
export interface E2eFile {
  /** How long it took beside another one, s. Every run prints it. */
  readonly seconds: number;
  /** It runs with every `npm test`. */
  readonly core?: boolean;
  /** Not of the core: the folders that it tests. */
  readonly of?: readonly string[];
}

/** End-to-end files at a time, at most: more guests' labs at once keep each other from their processors. */
export const LANES = 2;
/** How long setup, when nothing is missing, and all of `*.test.ts` take, s. */
export const UNIT_SECONDS = 433;

/** Each end-to-end file. */
export const E2E: Readonly<Record<string, E2eFile>> = {
  'test/conformance/qemu.e2e.ts': { seconds: 58, core: true },
  'test/conformance/libvirt.e2e.ts': {
    seconds: 90,
    of: ['src/drivers/libvirt/', 'src/port/'],
  },
  'test/controller/alerts.e2e.ts': {
    seconds: 8,
    of: ['src/controller/', 'examples/prometheus/', 'examples/grafana/'],
  },
  'test/controller/bad-samples.e2e.ts': {
    seconds: 35,
    of: ['src/controller/policy/', 'src/controller/inventory/', 'src/agent/'],
  },
  'test/controller/several.e2e.ts': {
    seconds: 45,
    of: ['src/controller/', 'src/rpc/', 'src/host/'],
  },
  'test/controller/three.e2e.ts': {
    seconds: 70,
    of: ['src/controller/engine/', 'src/controller/store/', 'src/controller/inventory/'],
  },
  'test/controller/store/kills.e2e.ts': { seconds: 60, of: ['src/controller/store/'] },
  'test/controller/store/full-disk.e2e.ts': { seconds: 2, of: ['src/controller/store/'] },
  'test/controller/store/postgres.e2e.ts': { seconds: 8, of: ['src/controller/store/'] },
  'test/conformance/vsphere.e2e.ts': {
    seconds: 34,
    of: ['src/drivers/vsphere/', 'src/port/', 'test/managers/vcsim/'],
  },
  'test/web/dashboard.e2e.ts': { seconds: 40, of: ['web/', 'src/controller/web/'] },
  'test/web/lab-drain.e2e.ts': { seconds: 70, of: ['web/', 'src/controller/web/', 'demo/fleet/'] },
  'test/web/states.e2e.ts': { seconds: 70, of: ['web/', 'bench/dashboard/'] },
  'test/web/sign-in.e2e.ts': { seconds: 3, of: ['src/controller/oidc/', 'src/controller/web/'] },
  'test/conformance/criu.e2e.ts': { seconds: 30, of: ['src/drivers/criu/', 'src/port/'] },
  'test/disks/copy/tunnel/nbd.e2e.ts': { seconds: 5, core: true },
  'test/drivers/qemu/cgroup.e2e.ts': { seconds: 1, of: ['src/drivers/qemu/'] },
  'test/drivers/qemu/user/cgroup-v2/cgroup-v2.e2e.ts': {
    seconds: 33,
    of: ['src/drivers/qemu/user/'],
  },
  'test/drivers/criu/gpu-move.e2e.ts': { seconds: 34, of: ['src/drivers/criu/', 'src/gpu/'] },
  'test/drivers/criu/refusals.e2e.ts': { seconds: 15, of: ['src/drivers/criu/'] },
  'test/drivers/criu/deleted-files.e2e.ts': { seconds: 10, of: ['src/drivers/criu/'] },
  'test/drivers/hyperv/wsman/kerberos-debian.e2e.ts': {
    seconds: 10,
    of: ['src/drivers/hyperv/wsman/', 'test/managers/hyperv/'],
  },
  'test/drivers/hyperv/wsman/winrmtest.e2e.ts': {
    seconds: 3,
    of: ['src/drivers/hyperv/wsman/', 'test/managers/winrmtest/'],
  },
  'test/drivers/hyperv/wsman/ntlm-debian.e2e.ts': {
    seconds: 20,
    of: ['src/drivers/hyperv/wsman/', 'test/managers/hyperv/'],
  },
  'test/drivers/vsphere/collectors.e2e.ts': {
    seconds: 12,
    of: ['src/drivers/vsphere/', 'test/managers/vcsim/'],
  },
  'test/drivers/vsphere/features.e2e.ts': {
    seconds: 8,
    of: ['src/drivers/vsphere/', 'test/managers/vcsim/'],
  },
  'test/drivers/vsphere/locators.e2e.ts': { seconds: 10, of: ['test/managers/vcsim/'] },
  'test/drivers/vsphere/moments.e2e.ts': {
    seconds: 60,
    of: ['src/drivers/vsphere/', 'test/managers/vcsim/'],
  },
  'test/drivers/qemu/images/disk-target.e2e.ts': { seconds: 15, of: ['src/drivers/qemu/'] },
  'test/drivers/qemu/disks.e2e.ts': { seconds: 18, of: ['src/drivers/qemu/'] },
  'test/drivers/qemu/helpers.e2e.ts': { seconds: 1, of: ['src/drivers/qemu/'] },
  'test/drivers/qemu/mirror/filters.e2e.ts': { seconds: 8, of: ['src/drivers/qemu/spec/'] },
  'test/drivers/qemu/mirror/follow.e2e.ts': { seconds: 27, of: ['src/drivers/qemu/mirror/'] },
  'test/drivers/qemu/mirror/mirror.e2e.ts': { seconds: 48, of: ['src/drivers/qemu/mirror/'] },
  'test/drivers/qemu/mirror/relocate.e2e.ts': { seconds: 38, of: ['src/drivers/qemu/mirror/'] },
  'test/drivers/qemu/rebuild.e2e.ts': { seconds: 11, of: ['src/drivers/qemu/'] },
  'test/drivers/qemu/same-machine.e2e.ts': { seconds: 25, of: ['src/drivers/qemu/'] },
  'test/e2e/unplug.e2e.ts': {
    seconds: 60,
    of: [
      'src/drivers/qemu/unplug/',
      'src/drivers/qemu/plug/',
      'src/mover/direct/',
      'src/migration/direct/',
    ],
  },
  'test/e2e/volumes.e2e.ts': { seconds: 80, of: ['src/disks/'] },
  'test/e2e/block-devices.e2e.ts': { seconds: 60, of: ['src/disks/'] },
  'test/e2e/iscsi.e2e.ts': {
    seconds: 91,
    of: ['src/lab/', 'src/disks/', 'src/drivers/qemu/spec/'],
  },
  'test/e2e/rbd.e2e.ts': { seconds: 98, of: ['src/lab/', 'src/disks/', 'src/drivers/qemu/spec/'] },
  'test/e2e/by-hand.e2e.ts': { seconds: 400, of: ['src/cli/', 'src/lab/'] },
  'test/e2e/cancel.e2e.ts': { seconds: 80, core: true },
  'test/e2e/captive.e2e.ts': { seconds: 19, of: ['src/drivers/qemu/user/', 'src/host/'] },
  'test/e2e/check.e2e.ts': { seconds: 55, core: true },
  'test/e2e/balance.e2e.ts': { seconds: 170, of: ['src/planner/', 'src/controller/policy/'] },
  'test/e2e/balloon.e2e.ts': {
    seconds: 60,
    of: ['src/mover/direct/source/', 'src/drivers/qemu/', 'src/migration/direct/'],
  },
  'test/e2e/free-page-hint.e2e.ts': {
    seconds: 100,
    of: ['src/drivers/qemu/', 'src/migration/prediction/', 'src/lab/guest/'],
  },
  'test/e2e/plan.e2e.ts': {
    seconds: 100,
    of: [
      'src/agent/prediction/',
      'src/migration/prediction/',
      'src/drivers/qemu/measure/',
      'src/host/memory-sample/',
    ],
  },
  'test/e2e/conntrack.e2e.ts': { seconds: 34, core: true },
  'test/e2e/container.e2e.ts': { seconds: 90, of: ['src/drivers/criu/', 'src/port/'] },
  'test/e2e/container-plan.e2e.ts': {
    seconds: 40,
    of: ['src/drivers/criu/', 'src/migration/prediction/', 'src/host/memory-sample/'],
  },
  'test/e2e/container-gpu.e2e.ts': { seconds: 170, of: ['src/drivers/criu/', 'src/gpu/'] },
  'test/e2e/container-holds.e2e.ts': { seconds: 45, of: ['src/drivers/criu/'] },
  'test/e2e/container-postcopy.e2e.ts': { seconds: 160, of: ['src/drivers/criu/'] },
  'test/e2e/container-redis.e2e.ts': { seconds: 110, of: ['src/drivers/criu/'] },
  'test/e2e/container-shared.e2e.ts': {
    seconds: 110,
    of: ['src/drivers/criu/', 'src/disks/proof/'],
  },
  'test/e2e/container-volumes.e2e.ts': { seconds: 87, of: ['src/drivers/criu/'] },
  'test/e2e/container-returns.e2e.ts': { seconds: 90, of: ['src/drivers/criu/'] },
  'test/e2e/database.e2e.ts': { seconds: 35, of: ['src/disks/'] },
  'test/e2e/dark-undo.e2e.ts': { seconds: 95, of: ['src/mover/direct/', 'src/migration/direct/'] },
  'test/e2e/drain.e2e.ts': { seconds: 110, of: ['src/controller/', 'src/planner/', 'src/cli/'] },
  'test/e2e/roll.e2e.ts': { seconds: 50, of: ['src/controller/', 'src/hooks/'] },
  'test/e2e/demo.e2e.ts': { seconds: 57, of: ['demo/'] },
  'test/e2e/demo-container.e2e.ts': { seconds: 60, of: ['demo/', 'src/drivers/criu/'] },
  'test/e2e/demo-fleet.e2e.ts': { seconds: 128, of: ['demo/'] },
  'test/e2e/backing-files.e2e.ts': { seconds: 32, of: ['src/disks/'] },
  'test/e2e/disk-copies.e2e.ts': { seconds: 173, of: ['src/disks/', 'src/drivers/qemu/mirror/'] },
  'test/e2e/disk-writes.e2e.ts': { seconds: 94, of: ['src/disks/', 'src/migration/steering/'] },
  'test/e2e/disk-latency.e2e.ts': { seconds: 68, of: ['src/disks/', 'src/drivers/qemu/mirror/'] },
  'test/e2e/disks.e2e.ts': { seconds: 132, core: true },
  'test/e2e/faults-containers.e2e.ts': {
    seconds: 385,
    of: ['src/drivers/criu/', 'faults/'],
  },
  'test/e2e/faults-chaos.e2e.ts': { seconds: 121, of: ['src/mover/', 'faults/'] },
  'test/e2e/faults-disks.e2e.ts': { seconds: 182, of: ['src/disks/', 'faults/'] },
  'test/e2e/faults-links.e2e.ts': { seconds: 307, of: ['src/links/', 'faults/'] },
  'test/e2e/faults-postcopy.e2e.ts': { seconds: 384, of: ['src/mover/', 'faults/'] },
  'test/e2e/faults-precopy.e2e.ts': {
    seconds: 270,
    of: ['src/mover/', 'src/migration/', 'faults/'],
  },
  'test/e2e/firewall.e2e.ts': { seconds: 45, of: ['src/mover/'] },
  'test/e2e/guest-logs.e2e.ts': { seconds: 22, of: ['src/host/', 'src/agent/'] },
  'test/e2e/hooks.e2e.ts': { seconds: 15, core: true },
  'test/e2e/site-check.e2e.ts': { seconds: 40, of: ['src/agent/', 'src/hooks/'] },
  'test/e2e/hostile-holes.e2e.ts': {
    seconds: 120,
    of: ['hostile/', 'src/rpc/', 'src/protocol/', 'src/mover/direct/destination/'],
  },
  'test/e2e/hostile-peer.e2e.ts': {
    seconds: 61,
    of: ['hostile/', 'src/rpc/', 'src/protocol/', 'src/agent/'],
  },
  'test/e2e/hostile.e2e.ts': { seconds: 35, core: true },
  'test/e2e/lab.e2e.ts': { seconds: 8, core: true },
  'test/e2e/hyperv.e2e.ts': { seconds: 30, of: ['src/drivers/hyperv/', 'src/mover/managed/'] },
  'test/e2e/install.e2e.ts': { seconds: 250, of: ['tools/', 'src/bin/'] },
  'test/e2e/booted-systemd.e2e.ts': { seconds: 210, of: ['packaging/', 'tools/package/'] },
  'test/e2e/booted-stops.e2e.ts': { seconds: 215, of: ['packaging/', 'tools/package/'] },
  'test/e2e/install-script.e2e.ts': { seconds: 5, of: ['packaging/'] },
  'test/e2e/first-hour.e2e.ts': { seconds: 40, of: ['src/cli/', 'src/agent/pki/'] },
  'test/e2e/ipv6.e2e.ts': { seconds: 32, of: ['src/rpc/', 'src/links/', 'src/mover/'] },
  'test/e2e/late-switch.e2e.ts': { seconds: 73, of: ['src/migration/', 'src/mover/'] },
  'test/e2e/timed-cap.e2e.ts': { seconds: 75, of: ['src/migration/', 'src/mover/'] },
  'test/e2e/leftovers.e2e.ts': { seconds: 34, core: true },
  'test/e2e/vsphere-vcenters.e2e.ts': { seconds: 60, of: ['src/drivers/vsphere/'] },
  'test/e2e/vsphere-doctor.e2e.ts': {
    seconds: 15,
    of: ['src/drivers/vsphere/', 'src/cli/doctor/', 'test/managers/vcsim/'],
  },
  'test/e2e/vsphere-resolve.e2e.ts': {
    seconds: 20,
    of: ['src/drivers/vsphere/', 'src/mover/managed/', 'src/agent/'],
  },
  'test/e2e/vsphere-lab.e2e.ts': { seconds: 12 },
  'test/e2e/vsphere-probes.e2e.ts': {
    seconds: 25,
    of: ['src/mover/managed/', 'src/network/probe/'],
  },
  'test/e2e/vsphere.e2e.ts': {
    seconds: 160,
    of: ['src/drivers/vsphere/', 'src/mover/managed/', 'test/managers/vcsim/'],
  },
  'test/e2e/libvirt.e2e.ts': { seconds: 130, of: ['src/drivers/libvirt/', 'src/mover/managed/'] },
  'test/e2e/libvirt-asked.e2e.ts': { seconds: 30, of: ['src/drivers/libvirt/'] },
  'test/e2e/libvirt-baseline.e2e.ts': {
    seconds: 15,
    of: ['src/drivers/libvirt/', 'src/drivers/qemu/'],
  },
  'test/e2e/libvirt-block.e2e.ts': {
    seconds: 60,
    of: ['src/drivers/libvirt/', 'src/mover/managed/', 'src/disks/proof/'],
  },
  'test/e2e/libvirt-domains.e2e.ts': { seconds: 15, of: ['src/drivers/libvirt/'] },
  'test/e2e/libvirt-kills.e2e.ts': {
    seconds: 150,
    of: ['src/drivers/libvirt/', 'src/mover/managed/', 'src/migration/managed/'],
  },
  'test/e2e/libvirt-lab.e2e.ts': { seconds: 130, of: ['src/lab/libvirt/', 'src/drivers/libvirt/'] },
  'test/e2e/libvirt-left.e2e.ts': { seconds: 45, of: ['src/drivers/libvirt/'] },
  'test/e2e/libvirt-login.e2e.ts': { seconds: 90, of: ['src/drivers/libvirt/'] },
  'test/e2e/libvirt-steering.e2e.ts': {
    seconds: 180,
    of: ['src/drivers/libvirt/', 'src/mover/managed/', 'src/migration/steering/'],
  },
  'test/e2e/libvirt-waits.e2e.ts': {
    seconds: 70,
    of: ['src/drivers/libvirt/', 'src/mover/managed/', 'src/mover/engine/'],
  },
  'test/e2e/libvirt-uefi.e2e.ts': { seconds: 90, of: ['src/drivers/libvirt/', 'src/lab/libvirt/'] },
  'test/e2e/libvirt-user.e2e.ts': { seconds: 130, of: ['src/drivers/libvirt/', 'src/host/'] },
  'test/e2e/libvirt-versions.e2e.ts': { seconds: 270, of: ['src/drivers/libvirt/'] },
  'test/e2e/libvirt-wire.e2e.ts': {
    seconds: 150,
    of: ['src/drivers/libvirt/', 'src/mover/managed/', 'src/mover/receiver/', 'src/wire/'],
  },
  'test/e2e/libvirt-wire-newer.e2e.ts': {
    seconds: 110,
    of: ['src/drivers/libvirt/', 'src/mover/managed/', 'src/mover/receiver/', 'src/wire/'],
  },
  'test/e2e/libvirt-wire-disks.e2e.ts': {
    seconds: 150,
    of: ['src/drivers/libvirt/', 'src/mover/managed/', 'src/mover/receiver/', 'src/disks/copy/'],
  },
  'test/e2e/longlink.e2e.ts': { seconds: 44, of: ['src/wire/', 'src/links/'] },
  'test/e2e/lost.e2e.ts': { seconds: 42, core: true },
  'test/e2e/membership.e2e.ts': { seconds: 89, core: true },
  'test/e2e/manager.e2e.ts': {
    seconds: 60,
    of: ['src/controller/managers/', 'src/drivers/vsphere/'],
  },
  'test/e2e/vsphere-refused.e2e.ts': {
    seconds: 20,
    of: ['src/drivers/vsphere/', 'test/managers/vcsim/'],
  },
  'test/e2e/manager-balancers.e2e.ts': {
    seconds: 20,
    of: ['src/drivers/vsphere/', 'src/controller/policy/', 'test/managers/vcsim/'],
  },
  'test/e2e/manager-drain.e2e.ts': {
    seconds: 70,
    of: ['src/drivers/vsphere/', 'src/controller/wishes/', 'test/managers/vcsim/'],
  },
  'test/e2e/managed.e2e.ts': {
    seconds: 50,
    of: ['src/mover/managed/', 'src/migration/managed/', 'src/drivers/fake/', 'src/agent/'],
  },
  'test/e2e/modes.e2e.ts': { seconds: 69, core: true },
  'test/e2e/move-disk.e2e.ts': { seconds: 42, core: true },
  'test/e2e/networks-ovs.e2e.ts': { seconds: 54, of: ['src/network/'] },
  'test/e2e/networks.e2e.ts': { seconds: 144, core: true },
  'test/e2e/nfs.e2e.ts': { seconds: 52, core: true },
  'test/e2e/owner-changes.e2e.ts': {
    seconds: 170,
    of: ['src/migration/guest-changes/', 'src/drivers/qemu/', 'src/mover/direct/'],
  },
  'test/e2e/package.e2e.ts': { seconds: 72, of: ['src/bin/', 'tools/'] },
  'test/e2e/postcopy-paths.e2e.ts': { seconds: 160, of: ['src/links/', 'src/mover/'] },
  'test/e2e/refusals.e2e.ts': { seconds: 38, core: true },
  'test/e2e/report-page.e2e.ts': { seconds: 15, of: ['src/cli/render/'] },
  'test/e2e/clean-hosts.e2e.ts': {
    seconds: 180,
    of: ['packaging/', 'tools/package/', 'src/cli/setup/'],
  },
  'test/e2e/resolve.e2e.ts': {
    seconds: 358,
    of: ['src/host/', 'src/migration/direct/', 'src/mover/direct/', 'src/agent/'],
  },
  'test/e2e/scale.e2e.ts': { seconds: 35, of: ['src/agent/', 'src/mover/', 'src/rpc/'] },
  'test/e2e/segments.e2e.ts': { seconds: 24, of: ['src/network/'] },
  'test/e2e/sites-evacuation.e2e.ts': {
    seconds: 200,
    of: ['src/controller/wishes/', 'src/controller/engine/', 'src/planner/'],
  },
  'test/e2e/sites-long.e2e.ts': { seconds: 200, of: ['src/relay/', 'src/rpc/relayed/'] },
  'test/e2e/sites.e2e.ts': { seconds: 80, of: ['src/relay/', 'src/rpc/relayed/'] },
  'test/e2e/syncs.e2e.ts': { seconds: 45, of: ['src/host/', 'src/mover/'] },
  'test/e2e/steering.e2e.ts': {
    seconds: 120,
    of: ['src/migration/steering/', 'src/mover/direct/source/', 'src/drivers/qemu/'],
  },
  'test/e2e/takeover.e2e.ts': { seconds: 55, core: true },
  'test/e2e/trust.e2e.ts': { seconds: 27, core: true },
  'test/e2e/tpm-keys.e2e.ts': { seconds: 15, of: ['src/drivers/qemu/tpm/'] },
  'test/e2e/tpm.e2e.ts': { seconds: 90, of: ['src/drivers/qemu/tpm/', 'src/drivers/qemu/spec/'] },
  'test/e2e/debian-guest.e2e.ts': { seconds: 460, of: ['src/drivers/qemu/', 'src/disks/'] },
  'test/e2e/uefi.e2e.ts': { seconds: 90, of: ['src/drivers/qemu/'] },
  'test/e2e/upgrade.e2e.ts': { seconds: 109, core: true },
  'test/e2e/prompt.e2e.ts': { seconds: 40, of: ['src/cli/', 'src/agent/'] },
  'test/e2e/probes.e2e.ts': { seconds: 95, of: ['src/network/', 'src/agent/'] },
  'test/e2e/terminal.e2e.ts': { seconds: 60, of: ['src/cli/'] },
  'test/e2e/user-networks.e2e.ts': { seconds: 15, of: ['src/drivers/qemu/spec/'] },
  'test/e2e/transport.e2e.ts': {
    seconds: 40,
    of: ['src/drivers/qemu/', 'src/migration/preflight/'],
  },
  'test/e2e/verify-disks.e2e.ts': { seconds: 45, of: ['src/disks/'] },
  'test/e2e/verified.e2e.ts': {
    seconds: 45,
    of: ['src/migration/report/', 'src/mover/direct/', 'src/network/'],
  },
  'test/e2e/versions.e2e.ts': { seconds: 36, of: ['src/drivers/'] },
  'test/e2e/baseline.e2e.ts': {
    seconds: 25,
    of: ['src/drivers/qemu/', 'src/migration/preflight/'],
  },
  'test/e2e/rehearsal.e2e.ts': {
    seconds: 80,
    of: ['src/migration/direct/', 'src/mover/direct/source/', 'src/migration/report/'],
  },
  'test/e2e/cold.e2e.ts': {
    seconds: 150,
    of: ['src/migration/direct/', 'src/mover/direct/', 'src/drivers/qemu/'],
  },
  'test/e2e/recover.e2e.ts': {
    seconds: 270,
    of: [
      'src/agent/recovery/',
      'src/controller/recover/',
      'src/disks/backing/',
      'src/migration/standby/',
      'src/mover/direct/destination/',
    ],
  },
  'test/e2e/waiting.e2e.ts': {
    seconds: 40,
    of: ['src/migration/direct/', 'src/mover/direct/source/', 'src/mover/engine/'],
  },
  'test/e2e/wire.e2e.ts': { seconds: 300, of: ['src/wire/', 'src/links/'] },
  'test/host/watch-dark-host.e2e.ts': { seconds: 14, of: ['src/host/', 'src/network/'] },
  'test/network/connections.e2e.ts': { seconds: 9, core: true },
  'test/agent/preflight/hung.e2e.ts': { seconds: 19, of: ['src/agent/'] },
  'test/network/handover.e2e.ts': { seconds: 2, core: true },
  'test/network/ovn.e2e.ts': { seconds: 30, of: ['src/network/', 'examples/hooks/'] },
  'test/network/openvswitch.e2e.ts': { seconds: 9, of: ['src/network/'] },
  'test/network/path-size.e2e.ts': { seconds: 3, of: ['src/network/'] },
  'test/network/segment.e2e.ts': { seconds: 1, core: true },
  'test/network/tap.e2e.ts': { seconds: 1, core: true },
  'test/network/probe.e2e.ts': { seconds: 11, core: true },
  'test/network/vlan.e2e.ts': { seconds: 1, core: true },
  'test/shapes/shapes.e2e.ts': { seconds: 11, core: true },
  'test/wire/relay/real-guests.e2e.ts': { seconds: 25, of: ['src/wire/'] },
  'test/wire/stream/real-streams.e2e.ts': { seconds: 56, of: ['src/wire/'] },
};
