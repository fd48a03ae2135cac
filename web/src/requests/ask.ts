import type {
  Move,
  FleetRequest,
  FleetRequestAsk,
} from '../../../src/protocol/controller/fleet-request.ts';
import { counted } from '../base/text.ts';

export type Ask = Pick<FleetRequestAsk, 'kind' | 'hosts'> & Partial<FleetRequestAsk>;

/** What a person filled in, as it stands in the address: a link to it can be sent, and going back loses nothing. */
export interface Form {
  readonly kind: FleetRequestAsk['kind'];
  readonly hosts: readonly string[];
  readonly guest: string;
  /** Empty: anywhere. */
  readonly to: readonly string[];
  /** Empty: as many as the plan finds best. */
  readonly maxParallel: string;
  /** Minutes from now; empty: none. */
  readonly deadline: string;
  readonly mode: '' | 'precopy' | 'hybrid' | 'postcopy';
  /** Empty: as usual, which is native. */
  readonly path: '' | 'native' | 'wire';
}

const namesIn = (text: string | null): string[] => [
  ...new Set((text ?? '').split(/[\s,]+/).filter((each) => each !== '')),
];

const MODES = ['precopy', 'hybrid', 'postcopy'] as const;
const PATHS = ['native', 'wire'] as const;

export function formIn(query: URLSearchParams): Form {
  const guest = query.get('guest') ?? '';
  const hosts = namesIn(query.get('hosts'));
  const mode = MODES.find((each) => each === query.get('mode')) ?? '';
  return {
    kind: query.get('kind') === 'migration' ? 'migration' : hosts.length > 1 ? 'evacuate' : 'drain',
    hosts,
    guest,
    to: namesIn(query.get('to')),
    maxParallel: query.get('parallel') ?? '',
    deadline: query.get('deadline') ?? '',
    mode,
    path: PATHS.find((each) => each === query.get('path')) ?? '',
  };
}

/** What to ask the controller for, or what is missing yet. Pure. */
export function askOf(
  form: Form,
  nowMs: number,
): { readonly ask: Ask } | { readonly wrong: string } {
  const { kind, hosts, guest, to } = form;
  if (kind === 'migration' && guest === '') return { wrong: 'Choose the guest to move.' };
  if (kind !== 'migration' && hosts.length === 0) return { wrong: 'Choose the hosts to empty.' };
  const parallel = wholeIn(form.maxParallel, 1000);
  const minutes = wholeIn(form.deadline, 60 * 24 * 30);
  if (parallel === 'wrong') return { wrong: 'Moves at a time: a whole number from 1 to 1000.' };
  if (minutes === 'wrong') return { wrong: 'Deadline: whole minutes from now, at least 1.' };
  return {
    ask: {
      kind,
      hosts: kind === 'migration' ? [] : [...hosts],
      ...(kind === 'migration' ? { guest } : {}),
      ...(to.length === 0 ? {} : { to: [...to] }),
      ...(parallel === undefined ? {} : { maxParallel: parallel }),
      ...(minutes === undefined ? {} : { deadlineAtMs: nowMs + minutes * 60_000 }),
      ...(form.mode === '' && form.path === '' ? {} : { settings: settingsIn(form) }),
    },
  };
}

function settingsIn({ mode, path }: Form): NonNullable<Ask['settings']> {
  return { ...(mode === '' ? {} : { mode }), ...(path === '' ? {} : { path }) };
}

function wholeIn(text: string, most: number): number | undefined | 'wrong' {
  if (text.trim() === '') return undefined;
  const value = Number(text);
  return Number.isInteger(value) && value >= 1 && value <= most ? value : 'wrong';
}

/** What was asked for, as a title: `Drain of a`, `Evacuation of 3 hosts`, `Move of web1`. */
export function titleOf({
  kind,
  hosts,
  guest,
}: Pick<FleetRequestAsk, 'kind' | 'hosts' | 'guest'>): string {
  switch (kind) {
    case 'migration':
      return `Move of ${guest ?? 'a guest'}`;
    case 'drain':
      return `Drain of ${hosts[0] ?? 'a host'}`;
    case 'evacuate':
      return `Evacuation of ${hostWords(hosts)}`;
    case 'roll':
      return `Rolling maintenance of ${hostWords(hosts)}`;
    case 'recover':
      return `Recovery of ${hostWords(hosts)}`;
  }
}

function hostWords(hosts: readonly string[]): string {
  return hosts.length <= 3 ? hosts.join(', ') : counted(hosts.length, 'host');
}

export interface HowFar {
  readonly moved: number;
  readonly underWay: number;
  readonly waiting: number;
  readonly stays: number;
  /** Of those that are to move, 0..100. */
  readonly percent: number;
  /** ms since 1970 at which the last one is expected to be there; undefined where nobody knows. */
  readonly endsAtMs: number | undefined;
}

/** Phases of a move that is neither over nor given up. */
const RUNNING: readonly Move['phase'][] = ['chosen', 'running', 'withdrawing', 'held'];

/** How far a request is; `seconds` of moves and starts of those that wait are predictions. Pure. */
export function howFar(request: FleetRequest, moves: readonly Move[], nowMs: number): HowFar {
  const running = moves.filter(({ phase }) => RUNNING.includes(phase));
  const queued = request.queue.filter(({ guest }) => !running.some((each) => each.guest === guest));
  const all = request.moved + running.length + queued.length;
  const underWay = running.map(({ createdAtMs, seconds }) =>
    Math.max(nowMs, createdAtMs + seconds * 1000),
  );
  const predicted = new Map(request.order.map(({ guest, seconds }) => [guest, seconds]));
  const later = queued.map(({ guest, startsAtMs }) =>
    startsAtMs === undefined
      ? undefined
      : Math.max(nowMs, startsAtMs) + (predicted.get(guest) ?? 0) * 1000,
  );
  const isKnown = later.every((each) => each !== undefined) && underWay.length + later.length > 0;
  return {
    moved: request.moved,
    underWay: running.length,
    waiting: queued.length,
    stays: request.stays.length,
    percent: request.phase === 'done' ? 100 : Math.min(99, 100 * shareOf(request, all)),
    endsAtMs: isKnown ? Math.max(...underWay, ...later.map((each) => each ?? 0)) : undefined,
  };
}

/** Of a roll its hosts count: its guests are known one host at a time. */
function shareOf({ ask, roll, moved }: FleetRequest, all: number): number {
  if (ask.kind === 'roll') return (roll?.at ?? 0) / Math.max(1, ask.hosts.length);
  return all === 0 ? 0 : moved / all;
}
