import { nicName } from '../spec/nic-names.ts';
import { valueText, type Part } from './machine-parts.ts';

/**
 * Parses the monitor's `info qtree`: all devices with their settable properties, in one answer of a millisecond
 * or two. `qom-get` needs one command per property: three thousand for ten devices, at about 0.2 ms each, and
 * each delays the guest's vCPUs if they access a device. Pure.
 */

interface Level {
  readonly indent: number;
  readonly place: string;
  readonly device?: Growing;
}

interface Growing {
  readonly type: string;
  readonly id: string;
  readonly bus: string;
  readonly props: Record<string, string>;
  readonly children: Growing[];
  port?: string;
}

const DEVICE = /^(\s*)dev: (\S+), id "(.*)"$/;
const BUS = /^(\s*)bus: (.*)$/;
const PROPERTY = /^(\s*)([A-Za-z0-9_.[\]-]+) = (.*)$/;
/**
 * Parses `class Ethernet controller, addr 01:00.0, pci id 1af4:1041 (sub 1af4:1100)`, the ids for the guest's
 * drivers.
 */
const PCI_ID = /^\s*class .*, pci id (\S+ \(sub \S+\))/;
const USB_PORT = /^\s*addr \d+\.\d+, port ([^,]+), /;

export function parseDeviceTree(text: string): Part[] {
  const roots: Growing[] = [];
  const levels: Level[] = [];
  for (const line of text.split(/\r?\n/)) {
    const indent = line.length - line.trimStart().length;
    const device = DEVICE.exec(line);
    const bus = BUS.exec(line);
    if (device !== null || bus !== null) {
      while ((levels.at(-1)?.indent ?? -1) >= indent) levels.pop();
    }
    const above = levels.at(-1);
    if (bus !== null) {
      levels.push({
        indent,
        place: bus[2] ?? '',
        ...(above?.device ? { device: above.device } : {}),
      });
      continue;
    }
    if (device !== null) {
      const made: Growing = {
        type: device[2] ?? '',
        id: device[3] ?? '',
        bus: above?.place ?? '',
        props: {},
        children: [],
      };
      (above?.device?.children ?? roots).push(made);
      levels.push({ indent, place: '', device: made });
      continue;
    }
    addDetail(above?.device, line);
  }
  return roots.length === 0 ? [] : placed(roots, '');
}

function addDetail(device: Growing | undefined, line: string): void {
  if (device === undefined) return;
  const port = USB_PORT.exec(line)?.[1];
  if (port !== undefined) device.port = port;
  const pciId = PCI_ID.exec(line)?.[1];
  if (pciId !== undefined) device.props['pci id'] = pciId;
  const property = PROPERTY.exec(line);
  if (property?.[2] !== undefined) device.props[property[2]] = plainValue(property[3] ?? '');
}

/** `5 (0x5)` and `134217728 (128 MiB)` contain a number twice; text is quoted. */
function plainValue(reported: string): string {
  const text = /^"(.*)"$/.exec(reported)?.[1];
  if (text !== undefined) return valueText(nicName(text));
  return valueText(reported.replace(/^(-?\d+) \([^)]*\)$/, '$1'));
}

/** Lists of address properties; the first one that a device has gives its place on the bus. */
const ADDRESSES = [['addr'], ['channel', 'scsi-id', 'lun'], ['unit'], ['nr'], ['iobase']] as const;

function placed(devices: readonly Growing[], above: string): Part[] {
  const seen = new Map<string, number>();
  // A bus lists the newest device first.
  const parts = devices.toReversed().map((device): Part[] => {
    const name = nameOf(device);
    const number = (seen.get(`${device.bus} ${name}`) ?? 0) + 1;
    seen.set(`${device.bus} ${name}`, number);
    const own = number === 1 ? name : `${name}#${number}`;
    const place = above === '' ? own : `${above}/${own}`;
    const { type, props, children } = device;
    return [{ kind: 'device', place, type, props }, ...placed(children, place)];
  });
  return parts.flat();
}

function nameOf({ id, type, bus, port, props }: Growing): string {
  if (id !== '') return id;
  const names = ADDRESSES.find((list) => list.every((name) => props[name] !== undefined));
  const address = port ?? names?.map((name) => props[name]).join(':');
  // A virtio device is alone behind its transport, on a bus of a constant name.
  if (bus === 'virtio-bus' || bus === 'main-system-bus') return type;
  return address === undefined ? `${type}@${bus}` : `${type}@${bus}:${address}`;
}
