import path from 'node:path';
import { SHARED_BY_AGREEMENT } from '../../../../migration/image-identity.ts';
import { defined } from '../../../../protocol/defined.ts';
import type { Disk, DiskImage } from '../../../../protocol/disk.ts';
import { isOnNetwork } from '../../../../protocol/network-file.ts';
import { builtInDrives } from './built-in-drives.ts';
import { type CommandLine, valuesOf } from '../cmdline.ts';
import type { BlockFacts, LiveDisk, LiveNode } from './disk-facts.ts';
import { ThrottleGroups, belowFilters, describeFilter } from './disk-filters.ts';
import { formatProblems, otherFile } from './disk-format.ts';
import { copiesOnRead, deviceProps, settingsOf, type ImageNodes } from './disk-node.ts';
import { DiskOptions } from './disk-options.ts';
import { recipeOf } from './disk-recipe.ts';
import type { BlockFilter, BlockNode } from './disk-schema.ts';
import type { GuestFacts, LiveDevice } from '../facts.ts';
import { changed, unmovable, type Finding } from '../findings.ts';
import { flashName, flashUnit, keptName } from '../flash.ts';
import { NodeNames } from './node-names.ts';
import { type Scalar, switchValue } from '../options.ts';
import type { DeviceSpec, ObjectSpec, FlashSpec } from '../schema.ts';
import { parseDevice } from '../devices.ts';

export interface Disks {
  readonly disks: readonly Disk[];
  /** Nodes for the destination; each backing file before its overlay. */
  readonly nodes: readonly BlockNode[];
  readonly files: ReadonlyMap<string, string>;
  readonly live: ReadonlyMap<string, string>;
  readonly uncopyable: ReadonlyMap<string, string>;
  readonly props: ReadonlyMap<string, Readonly<Record<string, Scalar>>>;
  readonly empty: ReadonlySet<string>;
  /** Objects with the limits of drives, which become filters at the destination. */
  readonly groups: readonly ObjectSpec[];
  /** Drives of the machine, from `-drive` or `-hda`: the destination gets them as devices. */
  readonly builtIn: readonly DeviceSpec[];
  readonly flash: readonly Chip[];
  readonly findings: readonly Finding[];
}

/** Devices whose state QEMU migrates while the hosts provide the images. */
const CARRIED =
  /^(virtio-blk-(pci|pci-transitional|pci-non-transitional|ccw|device)|scsi-(hd|cd)|ide-(hd|cd)|floppy|usb-storage)$/;
const MAX_CHAIN = 64;

export function describeDisks(line: CommandLine, facts: GuestFacts): Disks {
  const { block } = facts;
  const describer = new Describer(new DiskOptions(line, block), facts, sharedDevices(line, facts));
  for (const job of block.jobs) {
    describer.findings.push(unmovable(job, 'block job', 'it is at work on a disk'));
  }
  for (const live of block.disks) describer.add(live);
  const { disks, nodes, files, live, uncopyable, props, empty, findings } = describer;
  const { made: groups } = describer.groups;
  const builtIn = builtInDrives(block.disks, describer.filled, facts.machineType);
  const flash = describer.flash.toSorted((one, other) => one.unit - other.unit);
  return { disks, nodes, files, live, uncopyable, props, empty, groups, builtIn, flash, findings };
}

class Describer {
  readonly disks: Disk[] = [];
  readonly nodes: BlockNode[] = [];
  readonly files = new Map<string, string>();
  readonly live = new Map<string, string>();
  readonly uncopyable = new Map<string, string>();
  readonly props = new Map<string, Record<string, Scalar>>();
  readonly empty = new Set<string>();
  readonly filled = new Map<LiveDisk, Record<string, Scalar>>();
  readonly flash: Chip[] = [];
  readonly findings: Finding[] = [];
  readonly groups: ThrottleGroups;
  readonly #options: DiskOptions;
  readonly #block: BlockFacts;
  readonly #facts: GuestFacts;
  readonly #shared: ReadonlySet<string>;
  readonly #live: ReadonlyMap<string, LiveNode>;
  readonly #described = new Map<string, { name: string; images: DiskImage[] }>();
  readonly #names: NodeNames;
  readonly #owners = new Map<string, string>();

  constructor(options: DiskOptions, facts: GuestFacts, shared: ReadonlySet<string>) {
    const { block } = facts;
    this.#options = options;
    this.#block = block;
    this.#facts = facts;
    this.#shared = shared;
    this.groups = new ThrottleGroups(block, facts.objects);
    this.#live = new Map(block.nodes.map((node) => [node.name, node]));
    const drives = block.disks.map(({ drive }) => drive);
    this.#names = new NodeNames([...this.#live.keys(), ...drives]);
  }

  add(live: LiveDisk): void {
    const { root } = live;
    if (root === undefined) {
      const device = deviceOf(live, this.#facts);
      if (device !== undefined) this.empty.add(device.path);
      return;
    }
    if (live.drive !== '' && this.#options.of(root).by === 'nobody') {
      const reason = 'how it was opened is not on the command line';
      this.findings.push(unmovableDisk(live.drive, this.#live.get(root)?.file ?? root, reason));
      return;
    }
    const unit = flashUnit(live.qdev);
    if (unit !== undefined) return this.#addChip(unit, root);
    const device = deviceOf(live, this.#facts);
    const name = device?.id ?? (live.drive || live.qdev || root);
    const type = device?.type ?? live.builtIn?.type ?? '';
    if (!CARRIED.test(type)) {
      const file = this.#live.get(root)?.file ?? root;
      const what = type === '' ? 'it is no disk of its own' : `${type} cannot be rebuilt with it`;
      this.findings.push(unmovableDisk(device?.id ?? name, file, what));
      return;
    }
    const found = this.#chain(name, root, [], live);
    if (found === undefined) return;
    this.disks.push({ name: name.slice(0, 256), images: found.images });
    const [top] = found.images;
    if (top !== undefined && this.#shared.has(device?.path ?? ''))
      this.uncopyable.set(top.node, SHARED_BY_AGREEMENT);
    const props = {
      ...deviceProps(this.#options.of(root).drive),
      ...(live.writeCache ? {} : { 'write-cache': 'off' }),
      drive: found.name,
    };
    if (device !== undefined) this.props.set(device.path, props);
    else this.filled.set(live, props);
  }

  #addChip(unit: number, root: string): void {
    const name = flashName(unit);
    const found = this.#chain(name, root, []);
    if (found === undefined) return;
    const made = chipOf(unit, found, this.files.get(found.images[0]?.node ?? '') ?? '');
    if ('reason' in made) return void this.findings.push(made);
    this.flash.push(made.chip);
    if (made.isDisk) this.disks.push({ name, images: found.images });
    else this.files.delete(made.chip.node);
  }

  /**
   * Describes an image, its backing files and its filters. Undefined if a part cannot move; `findings` has the
   * reason. `disk`: the user of the topmost image.
   */
  #chain(
    device: string,
    root: string,
    above: readonly string[],
    disk?: LiveDisk,
  ): { name: string; images: DiskImage[] } | undefined {
    const known = this.#described.get(root);
    if (known !== undefined) return known;
    const { image: below, filters } = belowFilters(root, this.#block);
    const nodes = this.#nodesOf(device, below, above);
    if (nodes === undefined) return undefined;
    const { image, file } = nodes;
    const lower = this.#child(below, 'backing');
    const base = lower === undefined ? undefined : this.#chain(device, lower, [...above, root]);
    if (lower !== undefined && base === undefined) return undefined;
    const { settings, obstacles, cacheProblem, changes } = settingsOf(nodes, {
      unmaps: disk?.unmaps ?? 0,
      nativeAio: this.#block.nativeAio === true,
    });
    const linked = otherFile(nodes, this.#block);
    if (linked !== undefined) {
      this.findings.push({ kind: 'disk-linked', device, type: image.file, reason: linked });
    }
    const bad = this.#judge(device, nodes, obstacles, lower !== undefined);
    const reason = cacheProblem ?? '';
    if (reason !== '') this.findings.push({ kind: 'disk-cache', device, type: image.file, reason });
    for (const what of changes) this.findings.push(changed(device, 'disk', what));
    if (bad || linked !== undefined || reason !== '') return undefined;
    const what = above.length === 0 ? 'image' : `base${above.length}`;
    const name = this.#names.for(keptName(image.name, device), device, what);
    const passed = this.#filters(device, filters, disk, { nodes, name, discard: settings.discard });
    if (passed === undefined) return undefined;
    const format = image.driver === 'qcow2' ? 'qcow2' : 'raw';
    const { make, lost } = recipeOf(image);
    if (lost !== undefined) this.uncopyable.set(name, lost);
    this.nodes.push({
      node: name,
      format,
      ...(image === file ? {} : { file: this.#names.for(file.name, name, 'file') }),
      ...defined({ backing: base?.name }),
      ...(image.encrypted ? { luks: true as const } : {}),
      ...(passed.length === 0 ? {} : { filters: passed }),
      ...defined({ make }),
      ...settings,
    });
    const { cwd } = this.#facts;
    this.files.set(name, isOnNetwork(file.file) ? file.file : path.resolve(cwd, file.file));
    this.live.set(name, image.name);
    const allocated =
      file.allocatedBytes === undefined ? {} : { allocatedBytes: file.allocatedBytes };
    const own = {
      node: name,
      format,
      bytes: image.bytes,
      ...allocated,
      readOnly: image.readOnly,
    } as const;
    const top = passed.at(-1)?.node ?? name;
    const found = { name: top, images: [own, ...(base?.images ?? [])] };
    this.#described.set(root, found);
    return found;
  }

  #filters(
    device: string,
    live: readonly LiveNode[],
    disk: LiveDisk | undefined,
    { nodes, name, discard }: { nodes: ImageNodes; name: string; discard: BlockNode['discard'] },
  ): BlockFilter[] | undefined {
    const made: BlockFilter[] = [];
    const common = { discard, detectZeroes: 'off' } as const;
    if (copiesOnRead(nodes.imageOptions)) {
      made.push({ kind: 'copy-on-read', node: this.#names.for('', name, 'cor'), ...common });
    }
    for (const each of live) {
      const node = this.#names.for(each.name, device, 'filter');
      const filter = describeFilter(each, this.#options.of(each.name), node);
      if ('obstacle' in filter) {
        this.findings.push(unmovableDisk(device, each.file, filter.obstacle));
        return undefined;
      }
      made.push(filter);
    }
    const group = disk === undefined ? undefined : this.groups.of(disk);
    if (group === undefined) return made;
    const node = this.#names.for('', name, 'limits');
    return [...made, { kind: 'throttle', node, group, ...common }];
  }

  #nodesOf(name: string, root: string, above: readonly string[]): ImageNodes | undefined {
    const image = this.#live.get(root);
    if (image === undefined || above.length >= MAX_CHAIN || above.includes(root)) {
      this.findings.push(unmovableDisk(name, root, 'its backing chain cannot be followed'));
      return undefined;
    }
    const isFile = /^(file|nfs|iscsi|rbd|host_device)$/.test(image.driver);
    const below = isFile ? image : this.#live.get(this.#child(root, 'file') ?? '');
    if (
      !/^(raw|qcow2|luks|file|nfs|iscsi|rbd|host_device)$/.test(image.driver) ||
      below === undefined
    ) {
      this.findings.push(
        unmovableDisk(name, image.file, `it is reached through \`${image.driver}\``),
      );
      return undefined;
    }
    for (const each of [root, below.name]) {
      if ((this.#owners.get(each) ?? root) !== root) {
        this.findings.push(unmovableDisk(name, image.file, 'another image is on the same node'));
        return undefined;
      }
    }
    for (const each of [root, below.name]) this.#owners.set(each, root);
    const imageOptions = this.#options.of(root);
    return { image, file: below, imageOptions, fileOptions: this.#options.of(below.name) };
  }

  #judge(
    name: string,
    nodes: ImageNodes,
    obstacles: readonly string[],
    hasBacking: boolean,
  ): boolean {
    const { image } = nodes;
    for (const reason of obstacles) this.findings.push(unmovableDisk(name, image.file, reason));
    const unsaid = formatProblems(nodes, hasBacking);
    for (const reason of unsaid) {
      this.findings.push({ kind: 'disk-format', device: name, type: image.file, reason });
    }
    return obstacles.length > 0 || unsaid.length > 0;
  }

  #child(parent: string, role: string): string | undefined {
    return this.#block.edges.find((edge) => edge.parent === parent && edge.role === role)?.child;
  }
}

function unmovableDisk(device: string, file: string, reason: string): Finding {
  return { kind: 'disk', device, type: file, reason };
}

/** Firmware chip; `file`: its path here if it is identified by content. */
type Chip = FlashSpec & { readonly file?: string };

/**
 * Chip and its image. Writable content is a disk; firmware code, which is read-only, is identified by content.
 * `name`: uppermost node. Undefined, with the reason, if it cannot move. Pure.
 */
function chipOf(
  unit: number,
  { name, images: [top, ...below] }: { name: string; images: readonly DiskImage[] },
  file: string,
): { readonly chip: Chip; readonly isDisk: boolean } | Finding {
  const node = top?.node ?? name;
  const no = (reason: string): Finding => {
    return { kind: 'disk', device: flashName(unit), type: file, reason };
  };
  if (node !== name) return no('its firmware is behind a filter');
  if (top?.readOnly !== true) return { chip: { unit, node }, isDisk: true };
  if (below.length > 0) return no('firmware on a backing file is not known by its content');
  return { chip: { unit, node, file }, isDisk: false };
}

function deviceOf({ qdev }: LiveDisk, { devices }: GuestFacts): LiveDevice | undefined {
  return devices.find(({ path: own, id }) => {
    return qdev !== undefined && (qdev === own || qdev === id || qdev.startsWith(`${own}/`));
  });
}

/** Devices whose disk other guests may write to (`share-rw=on`), by QOM path. Pure. */
function sharedDevices(
  line: CommandLine,
  { devices }: Pick<GuestFacts, 'devices'>,
): ReadonlySet<string> {
  const shared = new Set<string>();
  let anonymous = 0;
  for (const { id, props } of valuesOf(line, 'device').map(parseDevice)) {
    const path =
      id === undefined
        ? `/machine/peripheral-anon/device[${anonymous++}]`
        : `/machine/peripheral/${id}`;
    if (switchValue(props['share-rw']) === true) shared.add(path);
  }
  for (const { path, changed } of devices)
    if (switchValue(changed?.['share-rw']) === true) shared.add(path);
  return shared;
}
