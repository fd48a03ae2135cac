import { formatRbd, isRbd, parseRbd } from '../../../protocol/rbd-name.ts';
import { formatIscsi, isIscsi, parseIscsi } from '../../../protocol/iscsi-url.ts';
import { isRecord } from '../../../formats/json.ts';
import type { DriveOptions } from './disks/disk-options.ts';

/** Exceeds QEMU's deepest form, a format on a client. */
const DEEPEST = 8;

/**
 * Plain name of an image. QEMU reports all settings of a network client as JSON (`json:{"driver": "raw", "file":
 * {"driver": "iscsi", ...}}`), including passwords; only the location is kept. Pure.
 */
export function plainName(file: string): string {
  if (isIscsi(file)) return formatted(file.replace(/^iscsi:\/\/[^/]*@/, 'iscsi://'));
  if (isRbd(file)) return image(file);
  if (!file.startsWith('json:')) return file;
  let given = parsed(file.slice('json:'.length));
  for (let depth = 0; given !== undefined && depth < DEEPEST; depth++) {
    if (given['driver'] === 'iscsi') return lunOf(given);
    if (given['driver'] === 'rbd') return imageOf(given);
    given = isRecord(given['file']) ? given['file'] : undefined;
  }
  return file;
}

function lunOf(given: DriveOptions): string {
  const [portal, target, lun] = ['portal', 'target', 'lun'].map((key) => part(given, key));
  return formatted(`iscsi://${portal}/${target}/${lun || '0'}`);
}

function part(given: DriveOptions, key: string): string {
  const held = given[key];
  return typeof held === 'string' || typeof held === 'number' ? String(held) : '';
}

function imageOf(given: DriveOptions): string {
  const names = ['pool', 'namespace', 'image'].map((key) => part(given, key));
  const snapshot = part(given, 'snapshot');
  const at = snapshot === '' ? '' : `@${snapshot}`;
  return `rbd:${names.filter((name) => name !== '').join('/')}${at}`;
}

/** Without settings such as keys and monitors, which follow unescaped colons. */
function image(file: string): string {
  const [name = ''] = file.slice('rbd:'.length).split(/(?<!\\):/);
  const place = parseRbd(`rbd:${name}`);
  return place === undefined ? `rbd:${name}` : formatRbd(place);
}

/** Unchanged if it cannot be parsed; no file is found for it then. */
function formatted(url: string): string {
  const place = parseIscsi(url);
  return place === undefined ? url : formatIscsi(place);
}

function parsed(text: string): DriveOptions | undefined {
  try {
    const found: unknown = JSON.parse(text);
    return isRecord(found) ? found : undefined;
  } catch {
    return undefined;
  }
}
