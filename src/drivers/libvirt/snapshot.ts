import { createHash } from 'node:crypto';
import { at, formatXml, parseXml, textAt, type XmlElement } from '../../formats/xml.ts';
import {
  guestPartOf,
  type GuestPart,
  type GuestSnapshot,
  type PartKind,
} from '../../migration/guest-changes/snapshot.ts';

/**
 * Converts a domain's XML to snapshot parts. libvirt updates it from its hypervisor's events, including changes
 * through the hypervisor's monitor. Pure.
 */

/** Exceeds the longest image chain that can move. */
const DEEPEST = 200;
/** Values that libvirt changes itself: detected ports, and whether a program in the guest is connected. */
const OF_NO_DEVICE: ReadonlySet<string> = new Set(['emulator', 'memballoon']);

/**
 * Undefined if the XML is not of a running domain; only such a domain has an id. After a stop the XML is the
 * stored definition without aliases, so every device would seem to be unplugged.
 */
export function domainSnapshot(xml: string): GuestSnapshot | undefined {
  const root = parseXml(xml);
  if (root?.name !== 'domain' || root.attributes['id'] === undefined) return undefined;
  const devices = first(root, 'devices')?.children ?? [];
  const parts = devices
    .filter(({ name }) => !OF_NO_DEVICE.has(name))
    // Numbered among devices of the same name, so that unplugging a disk renames no other device.
    .flatMap((each, _, all) =>
      deviceParts(each, all.filter(({ name }) => name === each.name).indexOf(each)),
    );
  const vcpus = first(root, 'vcpu');
  return {
    parts: [
      ...parts,
      part('processors', 'all', vcpus?.attributes['current'] ?? textAt(root, 'vcpu') ?? ''),
      part('memory', 'all', `${textAt(root, 'memory') ?? ''} KiB`),
    ],
  };
}

function first(element: XmlElement, name: string): XmlElement | undefined {
  return at(element, name)[0];
}

export function part(kind: PartKind, name: string, value: string): GuestPart {
  return guestPartOf(kind, name, value, (text) => createHash('sha256').update(text).digest('hex'));
}

function deviceParts(device: XmlElement, index: number): GuestPart[] {
  const alias = first(device, 'alias')?.attributes['name'];
  if (device.name === 'disk') return diskParts(device, alias);
  const mac = first(device, 'mac')?.attributes['address'];
  const model =
    first(device, 'model')?.attributes['type'] ?? first(device, 'model')?.attributes['name'];
  const name = alias ?? mac ?? `${device.name}${index}`;
  return [part('device', name, [device.name, model ?? '', mac ?? ''].join(' ').trim())];
}

function diskParts(disk: XmlElement, alias: string | undefined): GuestPart[] {
  const name = first(disk, 'target')?.attributes['dev'] ?? alias ?? 'a disk';
  const isRemovable = /^(cdrom|floppy)$/.test(disk.attributes['device'] ?? '');
  const chain = imagesOf(disk);
  const limits = first(disk, 'iotune');
  return [
    part('device', name, `disk ${first(disk, 'target')?.attributes['bus'] ?? ''}`.trim()),
    ...(chain.length === 0
      ? []
      : [part(isRemovable ? 'medium' : 'disk', name, chain.join(' on '))]),
    ...(limits === undefined ? [] : [part('limits', name, formatXml(limits))]),
  ];
}

function imagesOf(disk: XmlElement): string[] {
  const images: string[] = [];
  const top = imageOf(first(disk, 'source'), first(disk, 'driver')?.attributes['type']);
  if (top !== undefined) images.push(top);
  for (let below = first(disk, 'backingStore'); below !== undefined && images.length < DEEPEST;) {
    const image = imageOf(first(below, 'source'), first(below, 'format')?.attributes['type']);
    if (image === undefined) break;
    images.push(image);
    below = first(below, 'backingStore');
  }
  return images;
}

function imageOf(source: XmlElement | undefined, format = 'raw'): string | undefined {
  const { file, dev, name, volume, dir, protocol } = source?.attributes ?? {};
  const place = file ?? dev ?? name ?? volume ?? dir;
  if (place === undefined) return undefined;
  return `${format}:${protocol === undefined ? '' : `${protocol}:`}${place}`;
}
