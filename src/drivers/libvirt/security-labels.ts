import { at, type XmlElement } from '../../formats/xml.ts';

/**
 * By which models (`selinux`, `apparmor`, `dac`) a guest is confined. libvirt takes the model of each label along, and its
 * destination starts no guest with a label of a model that it does not have: "Security driver model 'selinux' is not
 * available". Up to 11.3 that is so also of labels that are `off`; 12.8 lets those in. Pure.
 */

export interface SecurityLabel {
  readonly model: string;
  /**
   * `fixed`: whoever defined the guest chose it. `made`: by libvirt, anew at each host. `off`: it says that this model does
   * not confine the guest, or leaves the device alone.
   */
  readonly kind: 'fixed' | 'made' | 'off';
  /** Of this device alone; absent: of the whole guest. */
  readonly device?: string;
}

/** Devices whose sources have labels of their own. */
const LABELLED = ['disk', 'serial', 'parallel', 'console', 'channel'];
/** What libvirt calls a guest that nothing confines. */
const UNCONFINED = 'none';
/** Of users and groups: libvirt leaves one out that it has made itself. */
const OF_USERS = 'dac';
const MAX_LABELS = 64;

export function securityLabels(domain: XmlElement): SecurityLabel[] {
  const ofGuest = at(domain, 'seclabel').map((label) => labelOf(label));
  const devices = at(domain, 'devices')[0]?.children ?? [];
  const ofDevices = devices
    .filter(({ name }) => LABELLED.includes(name))
    .flatMap((device) =>
      at(device, 'source', 'seclabel').map((label) => labelOf(label, nameOf(device))),
    );
  return [...ofGuest, ...ofDevices]
    .filter(({ model, kind }) => kind !== 'made' || model !== OF_USERS)
    .filter(({ model }) => model !== '' && model !== UNCONFINED)
    .slice(0, MAX_LABELS);
}

function labelOf({ attributes }: XmlElement, device?: string): SecurityLabel {
  const model = (attributes['model'] ?? '').slice(0, 64);
  const { type, relabel, labelskip } = attributes;
  if (device !== undefined) {
    const isOff = relabel === 'no' || labelskip === 'yes';
    return { model, kind: isOff ? 'off' : 'fixed', device };
  }
  return { model, kind: type === 'dynamic' ? 'made' : type === 'none' ? 'off' : 'fixed' };
}

function nameOf(device: XmlElement): string {
  const name =
    at(device, 'target')[0]?.attributes['dev'] ?? at(device, 'alias')[0]?.attributes['name'];
  return `${device.name} ${name ?? ''}`.trim().slice(0, 128);
}
