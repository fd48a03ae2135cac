import { z } from 'zod';
import { defined } from '../../../protocol/defined.ts';
import { clientFor } from '../../../protocol/network-file.ts';
import type { GuestDisk, RelocationSight } from '../../../port/disks.ts';
import { creationOf } from '../images/make-image.ts';
import { parseCommandLine } from '../spec/cmdline.ts';
import { blockNode, type BlockNode } from '../spec/disks/disk-schema.ts';
import { openings } from '../spec/disks/disks-argv.ts';
import { describeDisks } from '../spec/disks/disks.ts';
import type { GuestFacts } from '../spec/facts.ts';
import { nextName } from '../spec/moved-names.ts';
import type { BlockJob } from './jobs.ts';

const word = z.string().max(4096);

const work = z.strictObject({
  drive: word,
  qdev: word.optional(),
  /** Nodes of the old image; both are the same without a format layer. */
  old: word,
  oldFile: word,
  /** Options of the new image; `node` is also the job's name. */
  spec: blockNode,
  bytes: z.number().int().nonnegative(),
  backing: z.strictObject({ node: word, file: word, format: blockNode.shape.format }).optional(),
});
export type RelocationWork = z.infer<typeof work>;

export const readWork = (given: unknown): RelocationWork => work.parse(given);

/** Filter that QEMU puts above the old image during the job. */
export const filterOf = ({ spec }: RelocationWork): string => `${spec.node}-top`;
export const makerOf = ({ spec }: RelocationWork): string => `${spec.node}-make`;

const NOT_HERE = {
  none: undefined,
  nfs: 'it lies on an NFS export',
  iscsi: 'it is a LUN that QEMU opens by itself',
  rbd: 'it is an image of RBD',
} as const;

export function relocatable(facts: GuestFacts): GuestDisk[] {
  const found = describeDisks(parseCommandLine(facts.argv), facts);
  const taken = new Set(facts.block.nodes.map(({ name }) => name));
  const listed = found.disks.map(({ name, images: [top] }): GuestDisk => {
    const { node = '', bytes = 0, allocatedBytes, readOnly = true } = top ?? {};
    const like = found.nodes.find((each) => each.node === node);
    const old = found.live.get(node) ?? '';
    const device = facts.block.disks.find(({ root }) => root === old);
    const common = { name, file: found.files.get(node) ?? '', bytes, allocatedBytes };
    const onExport = NOT_HERE[clientFor(common.file) ?? 'none'];
    const live = facts.block.nodes.find(({ name: own }) => own === (fileOf(facts, old) ?? old));
    const onDevice = live?.driver === 'host_device' ? 'it is a block device' : undefined;
    const filtered = like?.filters === undefined ? undefined : 'it is limited or copied on read';
    const isChip = found.flash.some((each) => each.node === node);
    const ofFirmware = isChip ? 'it holds the variables of the guest’s firmware' : undefined;
    const reason = readOnly
      ? 'the guest only reads it'
      : (ofFirmware ?? onExport ?? onDevice ?? filtered ?? found.uncopyable.get(node));
    const fixed = reason ?? bitmapsOf(facts, old);
    if (fixed !== undefined || like === undefined || device === undefined) {
      return { ...common, fixed: fixed ?? 'it is not on a device of its own', work: undefined };
    }
    const oldFile = fileOf(facts, old) ?? old;
    const { backing, ...rest } = like;
    const newNode = nextName(old, taken);
    // Both names may hash alike only if they are equal.
    const newFile = nextName(oldFile, new Set([...taken, newNode]));
    const below = found.nodes.find((each) => each.node === backing);
    const made: RelocationWork = {
      drive: device.drive,
      ...defined({ qdev: device.qdev }),
      old,
      oldFile,
      spec: { ...rest, node: newNode, ...(like.file === undefined ? {} : { file: newFile }) },
      bytes,
      ...(below === undefined
        ? {}
        : {
            backing: {
              node: found.live.get(below.node) ?? '',
              file: found.files.get(below.node) ?? '',
              format: below.format,
            },
          }),
    };
    return { ...common, fixed: undefined, work: made };
  });
  const known = new Set(listed.map(({ name }) => name));
  const others = found.findings.flatMap(({ kind, device, type, reason }): GuestDisk[] => {
    if (!kind.startsWith('disk') || known.has(device)) return [];
    known.add(device);
    const unknown = { bytes: 0, allocatedBytes: undefined, work: undefined };
    return [{ name: device, file: type, fixed: reason, ...unknown }];
  });
  return [...listed, ...others];
}

function bitmapsOf({ block }: GuestFacts, root: string): string | undefined {
  const count = block.nodes.find(({ name }) => name === root)?.volatileBitmaps ?? 0;
  return count > 0 ? 'it has dirty bitmaps in memory, which would be lost' : undefined;
}

function fileOf({ block }: GuestFacts, parent: string): string | undefined {
  return block.edges.find((edge) => edge.parent === parent && edge.role === 'file')?.child;
}

/**
 * Nodes of the new image, file first. While it is filled, zeroes become holes, even in a raw image that passes
 * no discards on afterwards.
 */
export function nodesOf(
  { spec, backing }: RelocationWork,
  file: string,
  how: 'filling' | 'as-given',
): object[] {
  const like: BlockNode = backing === undefined ? spec : { ...spec, backing: backing.node };
  const nodes = openings(like, file);
  return how === 'filling' ? nodes.map((each) => ({ ...each, discard: 'unmap' })) : nodes;
}

export function opensAsFilled({ spec }: RelocationWork): boolean {
  return spec.discard === 'unmap' && (spec.file === undefined || spec.fileDiscard === 'unmap');
}

export function headerOf(given: RelocationWork): object | undefined {
  const { spec, bytes, backing } = given;
  const like = backing === undefined ? spec : { ...spec, backing: backing.node };
  const below = backing === undefined ? {} : { backingFile: backing.file };
  const blank = { node: spec.node, file: '', like, bytes, backingFormat: backing?.format };
  return creationOf({ ...blank, ...below }, spec.file ?? '');
}

export function sightOf(
  given: RelocationWork,
  root: string | undefined,
  job: BlockJob | undefined,
  nodes: ReadonlySet<string>,
): RelocationSight {
  const { spec, old } = given;
  const onOld = root === old || root === filterOf(given);
  const figures = { copiedBytes: Math.min(job?.offset ?? 0, job?.len ?? 0) };
  return {
    on: root === spec.node ? 'new' : onOld ? 'old' : 'neither',
    job: wordOf(job),
    open: [spec.node, spec.file ?? spec.node].some((name) => nodes.has(name)),
    ...figures,
    totalBytes: job?.len ?? 0,
    ...(job?.error === undefined ? {} : { failure: failureOf(job.error) }),
  };
}

function wordOf(job: BlockJob | undefined): RelocationSight['job'] {
  switch (job?.status) {
    case undefined:
      return 'none';
    case 'concluded':
      return job?.error === undefined ? 'ended' : 'failed';
    case 'pending':
      return 'pending';
    case 'waiting':
    case 'aborting':
    case 'null':
      return 'ending';
    default:
      return job?.ready === true ? 'ready' : 'copying';
  }
}

function failureOf(reason: string): NonNullable<RelocationSight['failure']> {
  return { kind: /No space left/.test(reason) ? 'full' : 'other', reason };
}
