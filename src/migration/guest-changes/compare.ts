import { formatBytes } from '../../protocol/quantity.ts';
import type { GuestPart, GuestSnapshot, PartKind } from './snapshot.ts';

/**
 * Changes of a guest since its destination was built, with their effect: a change that the stream does not carry
 * would be lost. Pure.
 */

export type ChangeType = 'added' | 'removed' | 'changed';

/**
 * `carried`: the destination has it as well; `to-carry`: the destination must be told; `harmless`: nothing depends on
 * it; `rolls-back`: the move is undone.
 */
export type ChangeVerdict = 'carried' | 'to-carry' | 'harmless' | 'rolls-back';

export interface GuestChange {
  readonly kind: string;
  readonly name: string;
  readonly type: ChangeType;
  readonly verdict: ChangeVerdict;
  /** Sentence without a full stop. */
  readonly words: string;
}

export interface MoveFacts {
  /** Disks are copied, with the image settings of that time. */
  readonly copiesDisks: boolean;
  readonly carriesMedia: boolean;
  readonly unplugs: readonly string[];
}

type Judge = ChangeVerdict | ((move: MoveFacts, value: string) => ChangeVerdict);

interface KindRow {
  readonly verdicts: Readonly<Record<ChangeType, Judge>>;
  readonly words: (name: string, type: ChangeType, before: string, after: string) => string;
  /** It comes and goes with its device, which is reported instead. */
  readonly ofDevice: boolean;
}

const ALWAYS = { added: 'rolls-back', removed: 'rolls-back', changed: 'rolls-back' } as const;
/** Both hosts open the same image, so the destination reads the change in it. */
const ifShared = ({ copiesDisks }: MoveFacts): ChangeVerdict =>
  copiesDisks ? 'rolls-back' : 'carried';

const ifCarried = ({ carriesMedia }: MoveFacts): ChangeVerdict =>
  carriesMedia ? 'to-carry' : 'rolls-back';

const changedFrom =
  (what: string) =>
  (name: string, _type: ChangeType, before: string, after: string): string =>
    `${what} of ${name} changed from ${before || 'none'} to ${after || 'none'}`;

const came = (what: string, added: string, removed: string, changed = 'was replaced') => {
  const words = { added, removed, changed };
  return (name: string, type: ChangeType): string => `${what} ${name} ${words[type]}`;
};

const KINDS: Readonly<Record<PartKind, KindRow>> = {
  disk: {
    verdicts: ALWAYS,
    ofDevice: true,
    words: (name, _type, before, after) => {
      const [was, is] = [imageWords(before), imageWords(after)];
      // Only an image option differs.
      const [from, to] = was === is ? [before, after] : [was, is];
      return `the image of ${name} changed from ${from || 'none'} to ${to || 'none'}`;
    },
  },
  medium: {
    verdicts: { added: ifCarried, removed: ifCarried, changed: ifCarried },
    ofDevice: true,
    words: (name, type, before, after) => {
      const [was, is] = [imageWords(before), imageWords(after)];
      if (type === 'added') return `a medium was put into ${name}: ${is}`;
      if (type === 'removed') return `the medium of ${name} was taken out: ${was}`;
      return `the medium of ${name} was changed from ${was} to ${is}`;
    },
  },
  size: {
    verdicts: { added: 'harmless', removed: 'harmless', changed: ifShared },
    ofDevice: true,
    words: (name, _type, before, after) =>
      `${name} was resized from ${sizeWords(before)} to ${sizeWords(after)}`,
  },
  limits: {
    verdicts: ALWAYS,
    ofDevice: true,
    words: changedFrom('the throughput limit'),
  },
  bitmap: {
    verdicts: {
      // A bitmap in memory is lost with the source's hypervisor: the next incremental backup would fail.
      added: ({ copiesDisks }, value) =>
        copiesDisks || !value.startsWith('kept') ? 'rolls-back' : 'carried',
      removed: 'harmless',
      changed: 'rolls-back',
    },
    ofDevice: false,
    words: came('the dirty bitmap', 'was added', 'was removed', 'was changed'),
  },
  snapshot: {
    // A copy holds the current state only, and the image with the snapshot is removed.
    verdicts: { added: ifShared, removed: 'harmless', changed: ifShared },
    ofDevice: true,
    words: came('the internal snapshot', 'was taken', 'was deleted'),
  },
  device: {
    verdicts: ALWAYS,
    ofDevice: false,
    words: (name, type, before, after) => {
      if (type === 'added') return `the device ${name} (${typeOf(after)}) was plugged in`;
      if (type === 'removed') return `the device ${name} (${typeOf(before)}) was unplugged`;
      return `a setting of the device ${name} (${typeOf(after)}) was changed`;
    },
  },
  backend: {
    verdicts: ALWAYS,
    ofDevice: false,
    words: came('the backend', 'was added', 'was removed'),
  },
  object: {
    verdicts: ALWAYS,
    ofDevice: false,
    words: came('the object', 'was added', 'was removed'),
  },
  job: {
    verdicts: { added: 'rolls-back', removed: 'harmless', changed: 'rolls-back' },
    ofDevice: false,
    words: (name, type, before, after) => {
      if (type === 'added') return `another program began the ${after} job ${name} on its disks`;
      return `the ${before} job ${name} ${type === 'removed' ? 'ended' : `became ${after}`}`;
    },
  },
  export: {
    verdicts: { added: 'rolls-back', removed: 'harmless', changed: 'rolls-back' },
    ofDevice: false,
    words: came('the disk export', 'was opened by another program', 'was closed'),
  },
  port: {
    // An earlier build reads no ports, and a silent host none.
    verdicts: { added: 'harmless', removed: 'harmless', changed: 'rolls-back' },
    ofDevice: true,
    words: changedFrom('the port'),
  },
  processors: {
    verdicts: ALWAYS,
    ofDevice: false,
    words: (_name, _type, before, after) =>
      `the number of its processors changed from ${before} to ${after}`,
  },
  memory: {
    verdicts: ALWAYS,
    ofDevice: false,
    words: (_name, _type, before, after) =>
      `its memory changed from ${sizeWords(before)} to ${sizeWords(after)}`,
  },
};

/** `qcow2:/srv/g1.over` of `qcow2,direct:/srv/g1.over on file,direct:/srv/g1.over on ...`: the writable image. */
function imageWords(value: string): string {
  const [top = ''] = value.split(' on ');
  return top.replace(/^([^,:]+)(?:,[^:]*)?:/, '$1 ');
}

function sizeWords(bytes: string): string {
  return /^\d+$/.test(bytes) ? formatBytes(Number(bytes)) : bytes || 'none';
}

/** A device's value is its type and a digest of its settings. */
function typeOf(value: string): string {
  return value.split(' ')[0] ?? value;
}

function rowFor(kind: string): KindRow {
  return Object.hasOwn(KINDS, kind) ? KINDS[kind as PartKind] : KINDS.device;
}

export function compareGuests(
  before: GuestSnapshot,
  after: GuestSnapshot,
  move: MoveFacts,
): GuestChange[] {
  const old = indexed(before, move);
  const now = indexed(after, move);
  const changes: GuestChange[] = [];
  const add = (part: GuestPart, type: ChangeType, was: string, is: string): void => {
    const row = rowFor(part.kind);
    const judge = row.verdicts[type];
    const verdict = typeof judge === 'function' ? judge(move, is || was) : judge;
    const words = row.words(shownName(part.name), type, was, is);
    changes.push({ kind: part.kind, name: part.name, type, verdict, words });
  };
  for (const [key, part] of old) {
    const other = now.get(key);
    if (other === undefined) add(part, 'removed', part.value, '');
    else if (other.value !== part.value) add(part, 'changed', part.value, other.value);
  }
  for (const [key, part] of now) if (!old.has(key)) add(part, 'added', '', part.value);
  return withoutConsequences(changes);
}

export function changeWords(
  changes: readonly GuestChange[],
  verdict: ChangeVerdict = 'rolls-back',
): string | undefined {
  const told = changes.filter((each) => each.verdict === verdict).map(({ words }) => words);
  if (told.length === 0) return undefined;
  const more = told.length > MAX_TOLD ? `; and ${told.length - MAX_TOLD} more changes` : '';
  return `${told.slice(0, MAX_TOLD).join('; ')}${more}`.slice(0, MAX_WORDS);
}

const MAX_TOLD = 4;
const MAX_WORDS = 2048;

function indexed({ parts }: GuestSnapshot, { unplugs }: MoveFacts): Map<string, GuestPart> {
  const kept = parts.filter(
    ({ kind, name }) => kind !== 'device' || !name.split('/').some((id) => unplugs.includes(id)),
  );
  return new Map(kept.map((part) => [`${part.kind} ${part.name}`, part]));
}

/** Expected snapshot of the destination after it got these media; a drive includes its medium's size. */
export function withMedia(
  before: GuestSnapshot,
  now: GuestSnapshot,
  drives: readonly string[],
): GuestSnapshot {
  const isOfDrive = ({ kind, name }: GuestPart): boolean =>
    (kind === 'medium' || kind === 'size') && drives.includes(name);
  return {
    parts: [
      ...before.parts.filter((each) => !isOfDrive(each)),
      ...now.parts.filter((each) => isOfDrive(each)),
    ],
  };
}

/** Drops changes that follow from a device's change: its buses' devices and its disk. */
function withoutConsequences(all: readonly GuestChange[]): GuestChange[] {
  const media = new Set(all.filter(({ kind }) => kind === 'medium').map(({ name }) => name));
  const changes = all.filter(({ kind, name }) => kind !== 'size' || !media.has(name));
  const isMove = ({ type }: GuestChange): boolean => type !== 'changed';
  const devices = changes.filter((each) => each.kind === 'device' && isMove(each));
  const places = new Set(devices.map(({ name, type }) => `${type} ${name}`));
  const names = new Set(devices.map(({ name, type }) => `${type} ${shownName(name)}`));
  return changes.filter((change) => {
    if (!isMove(change)) return true;
    if (change.kind === 'device') {
      const above = parentsOf(change.name);
      return !above.some((place) => places.has(`${change.type} ${place}`));
    }
    return !(rowFor(change.kind).ofDevice && names.has(`${change.type} ${change.name}`));
  });
}

function parentsOf(place: string): string[] {
  const ids = place.split('/');
  return ids.slice(1).map((_, at) => ids.slice(0, at + 1).join('/'));
}

function shownName(place: string): string {
  return place.split('/').at(-1) ?? place;
}
