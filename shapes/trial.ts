import type { ChildProcess } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { DirectDriver } from '../src/port/direct.ts';
import type { DiscoveredGuest, GuestHandle } from '../src/port/inventory.ts';
import { driverNamed, isManaged } from '../src/drivers/registry.ts';
import { handleOf } from '../src/drivers/qemu/handle.ts';
import { connectMonitor } from '../src/drivers/qemu/qmp/connect.ts';
import type { QmpClient } from '../src/drivers/qemu/qmp/client.ts';
import { judgeGuest } from '../src/migration/preflight/guest.ts';
import type { Finding } from '../src/migration/preflight/finding.ts';
import type { GuestDescription } from '../src/protocol/peer/migration.ts';
import type { Check } from '../src/protocol/public/migration.ts';
import { TINY_COUNTS } from '../test/drivers/qemu/tiny-guest.ts';
import { until } from '../test/until.ts';
import { differences } from './differences.ts';
import { outcomeOf, type Outcome } from './outcome.ts';
import type { Shape } from './shape.ts';
import { send, type Mode } from './send.ts';
import { startShape, type StartedShape } from './start.ts';

/** Which QEMU a shape runs on, which it moves to, and how. */
export interface Route {
  readonly from: string;
  readonly to: string;
  readonly mode: Mode;
}

const TRIAL_MS = 40_000;
const GUEST_MS = 30_000;
/** A monitor that QEMU has not made yet is tried again for so long. */
const FOUND_MS = 15_000;

/** Starts a shape by hand, moves it there and back, and says what became of it. */
export async function tryShape(shape: Shape, route: Route): Promise<Outcome> {
  let started: StartedShape | undefined;
  try {
    started = await startShape(shape, route.from);
    return outcomeOf(shape.expected, await moveThereAndBack(shape, route, started));
  } catch (error) {
    const said = (await started?.words().catch(() => '')) ?? '';
    const why = error instanceof Error ? error.message : String(error);
    return { is: 'broken', why: said === '' ? why : `${why}\n${said.slice(-600)}` };
  } finally {
    await started?.end();
  }
}

/** What happened, before it is held against what was expected. */
export type TrialObservation =
  | {
      readonly is: 'refused';
      readonly codes: readonly string[];
      readonly messages: readonly string[];
    }
  | {
      readonly is: 'moved';
      readonly warnings: readonly string[];
      readonly lost: readonly string[];
    };

async function moveThereAndBack(
  shape: Shape,
  route: Route,
  started: StartedShape,
): Promise<TrialObservation> {
  const signal = AbortSignal.timeout(TRIAL_MS);
  const { root } = started.host;
  const driver = (name: string, binary: string): Promise<DirectDriver> =>
    driverAt(root, name, binary, started);
  const here = await driver('a', route.from);
  const there = await driver('b', route.to);
  const found = await find(shape, here, started.process, signal);
  if (found.handle === undefined) return withoutHandle(found);
  await prepare(shape, found.handle, signal);
  const { handle } = found;
  const first = await hop({ from: here, to: there, handle, started, mode: route.mode }, signal);
  if (first.is === 'refused') return first;
  const back = await driver('c', route.from);
  const leg = { from: there, to: back, handle: first.handle, started, mode: route.mode };
  const second = await hop(leg, signal);
  if (second.is === 'refused') {
    return { ...first, lost: [...first.lost, `it cannot go back: ${second.messages.join('; ')}`] };
  }
  process.kill(handleOf(second.handle).pid, 'SIGKILL');
  return { is: 'moved', warnings: first.warnings, lost: [...first.lost, ...second.lost] };
}

async function driverAt(
  root: string,
  name: string,
  binary: string,
  { images }: StartedShape,
): Promise<DirectDriver> {
  const made = await driverNamed('qemu', {
    name,
    stateDir: path.join(root, name),
    drivers: {
      qemu: {
        programs: [binary],
        user: 'agent',
        cgroup: 'none',
        imageDirs: [images],
        luks: { keyDir: path.join(root, 'keys') },
      },
    },
  });
  if (isManaged(made)) throw new Error('the driver of QEMU moves guests by itself');
  return made;
}

async function find(
  { expected }: Shape,
  driver: DirectDriver,
  own: ChildProcess,
  signal: AbortSignal,
): Promise<DiscoveredGuest> {
  const hasNone = expected.is === 'refused' && expected.code === 'GODWIT_GUEST_MANAGED';
  const end = performance.now() + FOUND_MS;
  let last: DiscoveredGuest | undefined;
  const look = async (): Promise<DiscoveredGuest | undefined> => {
    const all = await driver.discover({ host: 'a', busy: new Set(), configured: [] }, signal);
    last = all.find(({ info }) => info.pid === own.pid);
    if (own.exitCode !== null) throw new Error('QEMU ended before its guest was found');
    const isFound = last?.handle !== undefined || (hasNone && last?.info.manager !== undefined);
    // Once the time is over, what was seen last says why nobody can take hold of it.
    return isFound || performance.now() > end ? last : undefined;
  };
  return until('the guest to be found', FOUND_MS, look);
}

/** As an agent judges a guest that nobody can take hold of. */
function withoutHandle({ info }: DiscoveredGuest): TrialObservation {
  const { name: guest, state, manager, unmovable } = info;
  return refusedBy(judgeGuest({ guest, state, manager, unmovable, reachable: false }));
}

/** As its manager goes on once QEMU is there: it lets it run, and plugs in what it has more. */
async function prepare(shape: Shape, handle: GuestHandle, signal: AbortSignal): Promise<void> {
  await withMonitor(handle, signal, async (client) => {
    await client.execute('cont', {}, signal);
    for (const [command, args] of shape.once ?? []) await client.execute(command, args, signal);
  });
}

async function withMonitor<T>(
  handle: GuestHandle,
  signal: AbortSignal,
  work: (client: QmpClient) => Promise<T>,
): Promise<T> {
  const { name, monitor } = handleOf(handle);
  const at = { host: 'a', guest: name, side: 'source', path: monitor, user: 'anybody' } as const;
  const client = await connectMonitor(at, 5000, signal);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

interface Leg {
  readonly from: DirectDriver;
  readonly to: DirectDriver;
  readonly handle: GuestHandle;
  readonly started: StartedShape;
  readonly mode: Mode;
}

type HopObservation =
  | Extract<TrialObservation, { is: 'refused' }>
  | (Extract<TrialObservation, { is: 'moved' }> & { readonly handle: GuestHandle });

async function hop(leg: Leg, signal: AbortSignal): Promise<HopObservation> {
  const { from, to, mode, handle, started } = leg;
  const stream = { mode, streams: 1, compress: 'none' } as const;
  const source = await from.openSource(handle, signal);
  const { guest, guestDir } = await place(leg);
  const destination = await to.openDestination({
    host: 'b',
    guest,
    guestDir,
    networks: {},
    listenHost: '127.0.0.1',
    ports: { from: 49_600, to: 49_700 },
  });
  try {
    const { description, checks, files = {} } = await source.inspect(stream, signal);
    const there = new Map(Object.entries(files));
    const more = checks.some(({ verdict }) => verdict === 'refuse')
      ? []
      : await destination.assess(description, { ...stream, tls: false }, signal, there);
    const refused = [...checks, ...more].filter(({ verdict }) => verdict === 'refuse');
    if (refused.length > 0) return refusedBy(refused);
    const before = structuredClone(description);
    await source.close();
    await alive(handle, signal);
    const again = await from.openSource(handle, signal);
    const moved = await send(
      { source: again, destination, description, there, started, mode },
      signal,
    );
    await destination.close();
    await alive(moved, signal);
    const lost = await compare(to, moved, before, signal);
    return { is: 'moved', warnings: warningsOf([...checks, ...more]), lost, handle: moved };
  } finally {
    await source.close();
    await destination.close();
  }
}

async function place({ handle, to, started }: Leg): Promise<{ guest: string; guestDir: string }> {
  const guest = handleOf(handle).name;
  const { root } = started.host;
  const guestDir = path.join(root, to.capabilities.shape, `${handleOf(handle).pid}`);
  await mkdir(path.dirname(guestDir), { recursive: true });
  return { guest, guestDir };
}

function refusedBy(checks: readonly Finding[]): Extract<TrialObservation, { is: 'refused' }> {
  return {
    is: 'refused',
    codes: checks.flatMap(({ error }) => (error === undefined ? [] : [error.code])),
    messages: checks.map(({ evidence }) => evidence),
  };
}

/** What is lost of the guest; what a host has less of is none of it. */
function warningsOf(checks: readonly Check[]): string[] {
  return checks.flatMap(({ verdict, name, evidence }) =>
    verdict === 'warn' && /^(devices|disks)$/.test(name) ? [evidence] : [],
  );
}

/** Its memory is whole: it has summed it three times more, and was right each time. */
async function alive(handle: GuestHandle, signal: AbortSignal): Promise<void> {
  const counts = (): Promise<[number, number]> =>
    withMonitor(handle, signal, async (client) => {
      const asked = { 'command-line': `xp /2wx 0x${TINY_COUNTS.toString(16)}` };
      const text = String(await client.execute('human-monitor-command', asked, signal));
      const [right = 0, wrong = 0] = [...text.matchAll(/ 0x([0-9a-f]{8})/g)].map(([, hex]) =>
        Number.parseInt(hex ?? '0', 16),
      );
      return [right, wrong];
    });
  const [first] = await counts();
  await until('the guest to sum its memory', GUEST_MS, async () => {
    const [right, wrong] = await counts();
    if (wrong > 0) throw new Error('its memory is damaged');
    return right >= first + 3 ? true : undefined;
  });
}

async function compare(
  driver: DirectDriver,
  handle: GuestHandle,
  before: GuestDescription,
  signal: AbortSignal,
): Promise<string[]> {
  const source = await driver.openSource(handle, signal);
  try {
    const stream = { mode: 'precopy', streams: 1, compress: 'none' } as const;
    const { description } = await source.inspect(stream, signal);
    return differences(before, description);
  } finally {
    await source.close();
  }
}
