import path from 'node:path';
import { nodeName } from '../../../protocol/disk.ts';
import type { Disk, DiskImage } from '../../../protocol/disk.ts';
import type { CommandLine } from './cmdline.ts';
import type { BlockFacts, LiveDisk, LiveNode } from './disk-facts.ts';
import type { ImageNodes } from './disk-node.ts';
import { deviceProps, isBackingGiven, isFormatStated, settingsOf } from './disk-node.ts';
import { DiskOptions } from './disk-options.ts';
import { recipeOf } from './disk-recipe.ts';
import type { BlockNode } from './disk-schema.ts';
import type { GuestFacts } from './facts.ts';
import { changed, unmovable } from './findings.ts';
import type { Finding } from './findings.ts';
import type { Scalar } from './options.ts';
import type { DeviceSpec } from './schema.ts';

/** A guest's disks as they are now. Pure. */
export interface Disks {
  readonly disks: readonly Disk[];
  /** How the destination is to open them, each backing file before what is on it. */
  readonly nodes: readonly BlockNode[];
  /** Where each image lies here. */
  readonly files: ReadonlyMap<string, string>;
  /** What each is called here. */
  readonly live: ReadonlyMap<string, string>;
  /** Why a copy of an image would not be the same; only of those of which it is so. */
  readonly uncopyable: ReadonlyMap<string, string>;
  /** Properties of the devices on them, by the device's QOM path. */
  readonly props: ReadonlyMap<string, Readonly<Record<string, Scalar>>>;
  /** Devices whose drive holds no medium, by QOM path. */
  readonly empty: ReadonlySet<string>;
  /** Drives that the machine made of `-drive` or `-hda`: the destination gets them as devices. */
  readonly builtIn: readonly DeviceSpec[];
  readonly findings: readonly Finding[];
}

/** Devices whose state QEMU moves with the images left to the hosts. */
const CARRIED =
  /^(virtio-blk-(pci|pci-transitional|pci-non-transitional|ccw|device)|scsi-(hd|cd)|ide-(hd|cd))$/;
const MAX_CHAIN = 64;

export function describeDisks(line: CommandLine, facts: GuestFacts): Disks {
  const { block } = facts;
  const describer = new Describer(new DiskOptions(line, block), block, facts);
  for (const job of block.jobs) {
    describer.findings.push(unmovable(job, 'block job', 'it is at work on a disk'));
  }
  for (const live of block.disks) describer.add(live);
  describer.addEmptyDrives();
  const { disks, nodes, files, live, uncopyable, props, empty, builtIn, findings } = describer;
  return { disks, nodes, files, live, uncopyable, props, empty, builtIn, findings };
}

class Describer {
  readonly disks: Disk[] = [];
  readonly nodes: BlockNode[] = [];
  readonly files = new Map<string, string>();
  readonly live = new Map<string, string>();
  readonly uncopyable = new Map<string, string>();
  readonly props = new Map<string, Record<string, Scalar>>();
  readonly empty = new Set<string>();
  readonly builtIn: DeviceSpec[] = [];
  readonly findings: Finding[] = [];
  readonly #options: DiskOptions;
  readonly #block: BlockFacts;
  readonly #facts: GuestFacts;
  readonly #live: ReadonlyMap<string, LiveNode>;
  /** Names at the destination of the nodes that were described already. */
  readonly #described = new Map<string, { name: string; images: DiskImage[] }>();
  readonly #taken: Set<string>;
  /** Which image each node belongs to. */
  readonly #owners = new Map<string, string>();

  constructor(options: DiskOptions, block: BlockFacts, facts: GuestFacts) {
    this.#options = options;
    this.#block = block;
    this.#facts = facts;
    this.#live = new Map(block.nodes.map((node) => [node.name, node]));
    const drives = block.disks.map(({ drive }) => drive);
    this.#taken = new Set([...this.#live.keys(), ...drives].filter((name) => name !== ''));
  }

  add(live: LiveDisk): void {
    const { root } = live;
    if (root === undefined) {
      const device = this.#facts.devices.find(({ path: own, id }) => isOf(live, own, id));
      if (device !== undefined) this.empty.add(device.path);
      return;
    }
    if (live.drive !== '' && this.#options.of(root).by === 'nobody') {
      const reason = 'how it was opened is not on the command line';
      this.findings.push(disk(live.drive, this.#live.get(root)?.file ?? root, reason));
      return;
    }
    const device = this.#facts.devices.find(({ path: own, id }) => isOf(live, own, id));
    const name = device?.id ?? (live.drive || live.qdev || root);
    const type = device?.type ?? live.builtIn?.type ?? '';
    if (!CARRIED.test(type)) {
      const file = this.#live.get(root)?.file ?? root;
      const what = type === '' ? 'it is no disk of its own' : `${type} cannot be rebuilt with it`;
      this.findings.push(disk(device?.id ?? name, file, what));
      return;
    }
    const found = this.#chain(name, root, []);
    if (found === undefined) return;
    if (live.limited) {
      this.findings.push(changed(name, 'disk', 'loses its throughput limits at the destination'));
    }
    this.disks.push({ name: name.slice(0, 256), images: found.images });
    const props = {
      ...deviceProps(this.#options.of(root).drive),
      ...(live.writeCache ? {} : { 'write-cache': 'off' }),
      drive: found.name,
    };
    if (device !== undefined) this.props.set(device.path, props);
    else this.#addBuiltIn(live, props);
  }

  /** With a drive given as a device QEMU no longer makes the empty ones by itself. */
  addEmptyDrives(): void {
    if (this.builtIn.length === 0) return;
    for (const live of this.#block.disks) {
      if (live.root === undefined && /^ide-(hd|cd)$/.test(live.builtIn?.type ?? '')) {
        this.#addBuiltIn(live, {});
      }
    }
  }

  #addBuiltIn({ builtIn }: LiveDisk, props: Record<string, Scalar>): void {
    if (builtIn === undefined) return;
    const { type, bus, unit } = builtIn;
    const at = {
      ...(bus === undefined ? {} : { bus }),
      ...(unit === undefined ? {} : { unit: String(unit) }),
    };
    this.builtIn.push({ driver: type, props: { ...at, ...props } });
  }

  /** Describes an image and what is below it; undefined where something of it cannot move, which is then in `findings`. */
  #chain(
    disk: string,
    root: string,
    above: readonly string[],
  ): { name: string; images: DiskImage[] } | undefined {
    const known = this.#described.get(root);
    if (known !== undefined) return known;
    const nodes = this.#nodesOf(disk, root, above);
    if (nodes === undefined) return undefined;
    const { image, file } = nodes;
    const lower = this.#child(root, 'backing');
    const below = lower === undefined ? undefined : this.#chain(disk, lower, [...above, root]);
    if (lower !== undefined && below === undefined) return undefined;
    const { settings, obstacles, cacheProblem, changes } = settingsOf(nodes);
    const linked = this.#linked(disk, nodes);
    const bad = this.#judge(disk, nodes, obstacles, lower !== undefined);
    if (cacheProblem !== undefined) {
      this.findings.push({
        kind: 'disk-cache',
        device: disk,
        type: image.file,
        reason: cacheProblem,
      });
    }
    for (const what of changes) this.findings.push(changed(disk, 'disk', what));
    if (bad || linked || cacheProblem !== undefined) return undefined;
    const name = this.#nameFor(
      image.name,
      disk,
      above.length === 0 ? 'image' : `base${above.length}`,
    );
    const format = image.driver === 'qcow2' ? 'qcow2' : 'raw';
    const { make, lost } = recipeOf(image);
    if (lost !== undefined) this.uncopyable.set(name, lost);
    this.nodes.push({
      node: name,
      format,
      ...(image === file ? {} : { file: this.#nameFor(file.name, name, 'file') }),
      ...(below === undefined ? {} : { backing: below.name }),
      ...(make === undefined ? {} : { make }),
      ...settings,
    });
    const { cwd } = this.#facts;
    this.files.set(name, file.driver === 'nfs' ? file.file : path.resolve(cwd, file.file));
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
    const found = { name, images: [own, ...(below?.images ?? [])] };
    this.#described.set(root, found);
    return found;
  }

  #nodesOf(name: string, root: string, above: readonly string[]): ImageNodes | undefined {
    const image = this.#live.get(root);
    if (image === undefined || above.length >= MAX_CHAIN || above.includes(root)) {
      this.findings.push(disk(name, root, 'its backing chain cannot be followed'));
      return undefined;
    }
    const isFile = /^(file|nfs)$/.test(image.driver);
    const below = isFile ? image : this.#live.get(this.#child(root, 'file') ?? '');
    if (!/^(raw|qcow2|file|nfs)$/.test(image.driver) || below === undefined) {
      this.findings.push(disk(name, image.file, `it is reached through \`${image.driver}\``));
      return undefined;
    }
    for (const each of [root, below.name]) {
      if ((this.#owners.get(each) ?? root) !== root) {
        this.findings.push(disk(name, image.file, 'another image is on the same node'));
        return undefined;
      }
    }
    for (const each of [root, below.name]) this.#owners.set(each, root);
    const imageOptions = this.#options.of(root);
    return { image, file: below, imageOptions, fileOptions: this.#options.of(below.name) };
  }

  #judge(
    name: string,
    { image, imageOptions }: ImageNodes,
    obstacles: readonly string[],
    hasBacking: boolean,
  ): boolean {
    for (const reason of obstacles) this.findings.push(disk(name, image.file, reason));
    const guessed = (file: string): void => {
      const reason = `QEMU guessed that it is ${image.driver}`;
      this.findings.push({ kind: 'disk-format', device: name, type: file, reason });
    };
    const isLower = imageOptions.nested && imageOptions.given['driver'] === undefined;
    const isStated = isLower || isFormatStated(imageOptions);
    if (!isStated) guessed(image.file);
    const silent = hasBacking && image.backing !== undefined && image.backing.format === undefined;
    const untold = silent && !isBackingGiven(imageOptions);
    if (untold) {
      const reason = 'its header does not say the format of its backing file';
      this.findings.push({ kind: 'disk-format', device: name, type: image.file, reason });
    }
    return obstacles.length > 0 || !isStated || untold;
  }

  /** A file that an image needs besides its own and its backing file would be opened at the destination by its name alone. */
  #linked(device: string, { image, file }: ImageNodes): boolean {
    const known = (parent: string, role: string): boolean =>
      parent === image.name && (role === 'backing' || (role === 'file' && image !== file));
    const other = this.#block.edges.find(({ parent, role }) => {
      return (parent === image.name || parent === file.name) && !known(parent, role);
    });
    if (other === undefined && image.qcow2?.dataFile !== true) return false;
    const name = this.#live.get(other?.child ?? '')?.file;
    const role = other?.role ?? 'data-file';
    const reason = `it needs ${name ?? 'another file'} as its \`${role}\`, which does not move with it`;
    this.findings.push({ kind: 'disk-linked', device, type: image.file, reason });
    return true;
  }

  #child(parent: string, role: string): string | undefined {
    return this.#block.edges.find((edge) => edge.parent === parent && edge.role === role)?.child;
  }

  /** The node's own name where it was given one; else one made from the disk's. */
  #nameFor(name: string, from: string, what: string): string {
    if (nodeName.safeParse(name).success) return name;
    const clean = from
      .replaceAll(/[^A-Za-z0-9._-]/g, '-')
      .replace(/^[^A-Za-z]*/, '')
      .slice(-18);
    const base = `${/^[A-Za-z]/.test(clean) ? clean : `disk${clean}`}-${what}`.slice(0, 27);
    let made = base;
    for (let number = 2; this.#taken.has(made); number++) made = `${base}-${number}`;
    this.#taken.add(made);
    return made;
  }
}

function isOf({ qdev }: LiveDisk, own: string, id: string | undefined): boolean {
  if (qdev === undefined) return false;
  return qdev === own || qdev === id || qdev.startsWith(`${own}/`);
}

/** A disk that cannot move at all, wherever it lies. */
function disk(device: string, file: string, reason: string): Finding {
  return { kind: 'disk', device, type: file, reason };
}
