import { at } from '../../xml.ts';
import type { XmlElement } from '../../xml.ts';

/**
 * By which models (`selinux`, `apparmor`, `dac`) a guest is confined. libvirt takes the model of each label along, and its
 * destination starts no guest with a label of a model that it does not have: "Security driver model 'selinux' is not
 * available". Pure.
 */

export interface SecurityLabel {
  readonly model: string;
  /** Whoever defined the guest chose it; else libvirt makes it anew at each host. */
  readonly isFixed: boolean;
  /** Of this device alone; absent: of the whole guest. */
  readonly device?: string;
}

/** Devices whose sources have labels of their own. */
const LABELLED = ['disk', 'serial', 'parallel', 'console', 'channel'];
/** What libvirt calls a guest that nothing confines. */
const UNCONFINED = 'none';
/** Of users and groups: libvirt leaves one out that it has made itself. */
const OF_USERS = 'dac';
const MOST_LABELS = 64;

export function securityLabels(domain: XmlElement): SecurityLabel[] {
  const ofGuest = at(domain, 'seclabel').map((label) => labelOf(label));
  const devices = at(domain, 'devices')[0]?.children ?? [];
  const ofDevices = devices
    .filter(({ name }) => LABELLED.includes(name))
    .flatMap((device) =>
      at(device, 'source', 'seclabel').map((label) => labelOf(label, nameOf(device))),
    );
  return [...ofGuest, ...ofDevices]
    .filter(({ model, isFixed }) => isFixed || model !== OF_USERS)
    .filter(({ model }) => model !== '' && model !== UNCONFINED)
    .slice(0, MOST_LABELS);
}

function labelOf({ attributes }: XmlElement, device?: string): SecurityLabel {
  const model = (attributes['model'] ?? '').slice(0, 64);
  if (device !== undefined) return { model, isFixed: true, device };
  return { model, isFixed: attributes['type'] !== 'dynamic' };
}

function nameOf(device: XmlElement): string {
  const name =
    at(device, 'target')[0]?.attributes['dev'] ?? at(device, 'alias')[0]?.attributes['name'];
  return `${device.name} ${name ?? ''}`.trim().slice(0, 128);
}
