/** Which faults are tried on disks that are copied, and when. Pure. */
import type { Cell, Fault, Mode, Phase } from '../cell.ts';

/** All of it together has ten minutes: what lasts long, or differs little, is tried where it shows most. */
const TRIED: Partial<Record<Fault, Partial<Record<Mode, readonly Phase[]>>>> = {
  'kill-source-mover': {
    precopy: ['seeding', 'disks-first-pass', 'disks-ready', 'disks-switch'],
    postcopy: ['disks-ready', 'disks-switch'],
  },
  'kill-destination-mover': {
    precopy: ['seeding', 'disks-first-pass', 'disks-ready', 'disks-switch'],
    postcopy: ['disks-ready', 'disks-switch'],
  },
  'kill-source-agent': { precopy: ['disks-first-pass'] },
  'kill-destination-agent': { precopy: ['seeding', 'disks-first-pass'] },
  'kill-source-qemu': { precopy: ['disks-first-pass'] },
  'kill-destination-qemu': {
    precopy: ['disks-first-pass', 'disks-ready', 'disks-switch'],
    postcopy: ['disks-switch'],
  },
  'link-reset': {
    precopy: ['seeding', 'disks-first-pass', 'disks-ready', 'disks-switch'],
    postcopy: ['disks-switch'],
  },
  'link-dark-5s': {
    precopy: ['seeding', 'disks-first-pass', 'disks-ready', 'disks-switch'],
    postcopy: ['disks-switch'],
  },
  'link-dark-40s': { precopy: ['disks-first-pass', 'disks-ready'] },
  'storage-full': { precopy: ['seeding', 'disks-first-pass', 'disks-ready', 'disks-switch'] },
  'storage-error': { precopy: ['disks-first-pass'] },
};

/** Why a cell with disks is not run; undefined where it is. */
export function whyNotTried({ fault, phase, mode }: Cell): string | undefined {
  if (TRIED[fault]?.[mode]?.includes(phase) === true) return undefined;
  if (fault === 'kill-destination-qemu' && phase === 'seeding') return 'there is none yet';
  if (mode === 'postcopy') {
    return 'as in pre-copy: disks are copied in the same way until the switch';
  }
  if (fault.startsWith('link-dark')) return 'it lasts too long: tried where it differs';
  return 'tried where it differs';
}
