/** What was seen of a guest's disks at the end of a cell against what must hold. Pure. */
import type { Blocks } from './blocks.ts';
import type { StoredFiles } from './storage.ts';

export interface DisksSeen {
  readonly from: string;
  readonly to: string;
  /** The host on which the guest runs; undefined where it died. */
  readonly host: string | undefined;
  readonly outcome: string;
  /** The guest's images below the storage, wherever it is. */
  readonly images: readonly string[];
  /** By host, before the migration and now. */
  readonly before: ReadonlyMap<string, StoredFiles>;
  readonly now: ReadonlyMap<string, StoredFiles>;
  /** The hosts whose QEMU holds the lock to write, by `host:image`, for each image that is there. */
  readonly writers: ReadonlyMap<string, readonly string[]>;
  readonly blocksBefore: readonly Blocks[];
  readonly blocks: readonly Blocks[];
  /** The guest wrote to its disks once more, and its QEMU took it; undefined where none runs. */
  readonly writes: boolean | undefined;
}

const isBase = (image: string): boolean => image.includes('-base.');

export function judgeDisks(seen: DisksSeen): string[] {
  const { host, from, to } = seen;
  // Its QEMU died after the commit: what it had is kept for whoever looks.
  if (host === undefined && seen.outcome === 'lost') return temporaries(seen);
  const away = host === to ? from : to;
  return [
    ...temporaries(seen),
    ...filesOf(seen, host ?? from, away),
    ...unwritten(seen),
    ...(host === undefined ? [] : [...locks(seen, host), ...insideQemu(seen, host)]),
    ...(seen.writes === false ? ['disks: the guest cannot write to them any more'] : []),
  ];
}

function temporaries({ now }: DisksSeen): string[] {
  return [...now].flatMap(([host, files]) =>
    [...files].flatMap(([name, { links, directory }]) => {
      const problems = name.includes('.godwit-') ? [`left on the storage of ${host}: ${name}`] : [];
      if (!directory && links !== 1) problems.push(`${name} on ${host} has ${links} names`);
      return problems;
    }),
  );
}

/** Its images at the host where it is, and nothing of them at the other. */
function filesOf(seen: DisksSeen, here: string, away: string): string[] {
  const { images, from } = seen;
  const there = names(seen.now, here);
  const missing = images.filter((image) => !there.includes(image));
  const problems = missing.map((image) => `${image} is not on the storage of ${here}`);
  const moved = here !== from;
  // What another guest may be based on stays where it was; what was there before has been found, not made.
  const mayStay = moved ? images.filter(isBase) : names(seen.before, away);
  const left = names(seen.now, away).filter((name) => !mayStay.includes(name));
  problems.push(...left.map((name) => `left on the storage of ${away}: ${name}`));
  const gone = mayStay.filter((name) => !names(seen.now, away).includes(name));
  problems.push(...gone.map((name) => `gone from the storage of ${away}: ${name}`));
  if (moved) return problems;
  for (const image of images) {
    const was = seen.before.get(here)?.get(image)?.ino;
    const is = seen.now.get(here)?.get(image)?.ino;
    if (is !== undefined && was !== is) problems.push(`${image} on ${here} is another file`);
  }
  return problems;
}

function names(by: ReadonlyMap<string, StoredFiles>, host: string): string[] {
  return [...(by.get(host) ?? [])].flatMap(([name, { directory }]) => (directory ? [] : [name]));
}

/** What the guest does not write to is the same wherever the image is. */
function unwritten({ images, before, now, from }: DisksSeen): string[] {
  return images.flatMap((image) => {
    const was = before.get(from)?.get(image)?.sha256;
    if (was === undefined) return [];
    return [...now].flatMap(([host, files]) => {
      const is = files.get(image)?.sha256;
      return is === undefined || is === was ? [] : [`${image} on ${host} holds something else`];
    });
  });
}

function locks({ images, writers }: DisksSeen, host: string): string[] {
  const problems: string[] = [];
  for (const [place, hosts] of writers) {
    const image = place.slice(place.indexOf(':') + 1);
    const own = place === `${host}:${image}` && images.includes(image) && !isBase(image);
    const wanted = own ? host : '';
    if (hosts.join() !== wanted) {
      problems.push(`${place} is locked to write by ${hosts.join(' and ') || 'nobody'}`);
    }
  }
  return problems;
}

/** No job, export, bitmap or connection is left in a QEMU; one that has its guest back is as it was. */
function insideQemu({ blocks, blocksBefore, from }: DisksSeen, host: string): string[] {
  const problems = blocks.flatMap((each) => [
    ...each.jobs.map((job) => `a block job is left at ${each.host}: ${job}`),
    ...each.exports.map((name) => `an export is left at ${each.host}: ${name}`),
    ...each.bitmaps.map((name) => `a bitmap is left at ${each.host}: ${name}`),
    ...each.opened
      .filter((name) => !name.startsWith('file:'))
      .map((name) => `left open at ${each.host}: ${name}`),
  ]);
  const is = blocks.find((each) => each.host === host);
  if (is === undefined) return [...problems, `the QEMU of ${host} does not report its disks`];
  if (host !== from) return problems;
  const was = blocksBefore.find((each) => each.host === from);
  for (const what of ['opened', 'nodes'] as const) {
    const [now, then] = [is[what].join(' '), was?.[what].join(' ')];
    if (now !== then) problems.push(`the QEMU of ${from} had ${what} ${then}, and has ${now}`);
  }
  return problems;
}
