import type { GodwitError } from '../src/errors.ts';
import { managerLacks, startManager } from './libvirt/daemon.ts';
import { podmanLacks, startPodmanHosts } from './podman/hosts.ts';
import type { LabManager, LabPlan, LabStorage } from './plan.ts';
import type { Lab } from './state.ts';
import { vsphereLacks } from './vsphere/simulator.ts';
import { LAB_VCENTER, startVsphere } from './vsphere/start.ts';

/** The managers that a lab may have. What each starts runs in the lab's namespaces and lies in its directory: it goes with both. */
interface ManagerOfLab {
  /** Where disks of the lab's guests lie unless another place is asked for. */
  readonly storage: LabStorage;
  /** Why a lab cannot have it here; undefined where it can. */
  readonly lacks: (plan: LabPlan) => Promise<GodwitError | undefined>;
  /** What the hosts' agents need of it: the hosts have their certificates, and no agent yet. */
  readonly start?: (lab: Lab, signal: AbortSignal | undefined) => Promise<void>;
  /** What drives it beside the agents, once these answer. */
  readonly startBeside?: (lab: Lab, signal: AbortSignal | undefined) => Promise<void>;
  /** What the lab's controller calls it; absent where the hosts' agents drive it and the lab has no controller. */
  readonly nameAtController?: string;
}

export const MANAGERS: Readonly<Record<LabManager, ManagerOfLab>> = {
  libvirt: { storage: 'local', lacks: (plan) => managerLacks(plan), start: startManager },
  podman: { storage: 'shared', lacks: () => podmanLacks(), start: startPodmanHosts },
  vsphere: {
    storage: 'shared',
    lacks: () => vsphereLacks(),
    startBeside: startVsphere,
    nameAtController: LAB_VCENTER,
  },
};
