import path from 'node:path';
import { parseCommandLine, valuesOf, type CommandLine } from './cmdline.ts';
import { parseDevice } from './devices.ts';
import type { BlockFacts, LiveDisk } from './disks/disk-facts.ts';
import { belowFilters } from './disks/disk-filters.ts';
import type { LiveDevice } from './facts.ts';
import { fileBelow } from './moved-argv.ts';
import { standsInFor } from './moved-names.ts';
import { parseOption } from './options.ts';

const WITH_ID = '/machine/peripheral/';
/** QEMU makes this device for an option of the same name. */
const MADE_BY_OPTION = new Set(['debugcon']);

export interface RunningMachine {
  readonly block: BlockFacts;
  readonly devices: readonly Pick<LiveDevice, 'path' | 'id'>[];
}

/**
 * Reason why QEMU's command line does not create the present machine; undefined if it does. A snapshot, a merge
 * or a plugged disk changes a guest's images at run time, so a restart could write to an image whose newer data
 * is elsewhere. `argv`: the whole command line, including the program. Pure.
 */
export function whyNotAsStarted(
  argv: readonly string[],
  cwd: string,
  { block, devices }: RunningMachine,
): string | undefined {
  const line = parseCommandLine(argv);
  const given = valuesOf(line, 'device').map(parseDevice);
  const live = new Set(devices.flatMap((each) => withId(each.path) ?? []));
  const known = new Set(given.flatMap(({ id }) => id ?? []));
  for (const id of live) {
    if (known.has(id) || MADE_BY_OPTION.has(id)) continue;
    return `device ${id} was plugged in after its QEMU was started`;
  }
  for (const id of known) {
    if (!live.has(id)) return `device ${id} was unplugged after its QEMU was started`;
  }
  const roots = given.flatMap(({ props }) => {
    const { drive } = props;
    return typeof drive === 'string' ? [drive] : [];
  });
  const files = new Set(filesIn(line).map((file) => path.resolve(cwd, file)));
  for (const disk of block.disks) {
    const other = otherImageOf(disk, { block, roots, files, cwd });
    if (other === undefined) continue;
    const name = disk.drive === '' ? (disk.qdev ?? 'a disk') : disk.drive;
    return `disk ${name} is on ${other} now, which its QEMU was not started with: a snapshot or a block job has changed its image`;
  }
  return undefined;
}

function withId(qomPath: string): string | undefined {
  return qomPath.startsWith(WITH_ID) ? qomPath.slice(WITH_ID.length) : undefined;
}

interface LaunchFacts {
  readonly block: BlockFacts;
  readonly roots: readonly string[];
  readonly files: ReadonlySet<string>;
  readonly cwd: string;
}

/** Image that the guest writes to, if QEMU started with another one. Read-only media may change. */
function otherImageOf(
  { drive, root }: LiveDisk,
  { block, roots, files, cwd }: LaunchFacts,
): string | undefined {
  if (root === undefined) return undefined;
  const { image, filters } = belowFilters(root, block);
  const top = block.nodes.find(({ name }) => name === image);
  if (top === undefined || top.readOnly) return undefined;
  const names = [root, image, ...filters.map(({ name }) => name)];
  if (names.some((name) => roots.some((each) => each === name || standsInFor(name, each)))) {
    return undefined;
  }
  const file = fileBelow(image, block) ?? top.file;
  // An image that Godwit moved gets its new path in the command line.
  const isMoved = drive !== '' && /^gwm\d-/.test(image);
  if (drive !== '' && (isMoved || !isPath(file) || files.has(path.resolve(cwd, file)))) {
    return undefined;
  }
  return file;
}

/** QEMU may rewrite other names (`nbd://`, `json:`, `rbd:`). */
const isPath = (file: string): boolean => !/^[a-z][a-z0-9+.-]*:/i.test(file);

function filesIn(line: CommandLine): string[] {
  const drives = valuesOf(line, 'drive').flatMap((value) => {
    const { props } = parseOption(value, false);
    return [props.get('file'), props.get('file.filename')].filter((file) => file !== undefined);
  });
  const short = ['hda', 'hdb', 'hdc', 'hdd', 'fda', 'fdb', 'sd', 'pflash', 'mtdblock'];
  return [...drives, ...short.flatMap((name) => valuesOf(line, name)), ...line.loose];
}

export function writtenImages(block: BlockFacts, cwd: string): string[] {
  const written = block.disks.flatMap(({ root }) => {
    if (root === undefined) return [];
    const { image } = belowFilters(root, block);
    const top = block.nodes.find(({ name }) => name === image);
    const file = fileBelow(image, block) ?? top?.file;
    if (top === undefined || top.readOnly || file === undefined || !isPath(file)) return [];
    return [path.resolve(cwd, file)];
  });
  return [...new Set(written)];
}
