import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import type { DiscoveredGuest } from '../../port/inventory.ts';
import type { Driver } from '../../drivers/registry.ts';
import { unixSockets } from '../../system/kernel-tables.ts';
import { defined } from '../../protocol/defined.ts';
import { driverOf } from '../processes/hypervisor-life.ts';
import { tapName } from '../../network/tap.ts';
import { migrationId } from '../../protocol/names.ts';
import { guestOf, type Guests } from '../guests/guests.ts';
import { arrivalOf } from '../guests/sightings.ts';
import type { MoverProcesses } from '../processes/mover-process.ts';
import type { MigrationStore } from '../migrations/store.ts';
import type { Supervisor } from '../processes/supervision.ts';
import type { GuestDirectoryFact, GuestFact, HostFacts, MigrationFact, TapFact } from './facts.ts';

/** A larger folder is not Godwit's to walk. */
const MAX = 20_000;
const OUR_TAP = /^gw[0-9a-f]{8}n\d{1,4}$/;

export interface CollectDependencies {
  readonly config: AgentConfig;
  readonly store: MigrationStore;
  readonly guests: Guests;
  readonly movers: MoverProcesses;
  readonly supervisor: Supervisor;
  readonly drivers: readonly Driver[];
}

export async function collectFacts(deps: CollectDependencies): Promise<HostFacts> {
  const found = await deps.guests.look();
  const bound = boundSockets();
  const guestsDir = path.join(deps.config.stateDir, 'guests');
  const guests = await Promise.all(found.map((each) => guestFact(deps, guestsDir, each)));
  const guestDirectories = await Promise.all(
    list(guestsDir).map((name) => directoryFact(deps, path.join(guestsDir, name), bound)),
  );
  return { migrations: migrationFacts(deps, bound), guestDirectories, guests, taps: tapFacts() };
}

async function guestFact(
  { drivers, store }: CollectDependencies,
  guestsDir: string,
  { info, handle }: DiscoveredGuest,
): Promise<GuestFact> {
  const driver = driverOf(drivers, handle);
  const dir = handle === undefined ? undefined : driver?.describe(handle).directory;
  const ours = dir !== undefined && path.dirname(dir) === guestsDir;
  const directory = ours ? await driver?.guestDirectory?.(dir) : undefined;
  const unsettled = directory?.unsettled === true;
  const builtBy =
    unsettled && handle !== undefined ? arrivalOf({ store, drivers }, handle)?.id : undefined;
  return {
    name: info.name,
    state: info.state,
    pid: info.pid ?? 0,
    unsettled,
    ...defined({ handle, builtBy }),
    ...(ours ? { dir } : {}),
  };
}

function migrationFacts(
  { config, store, movers, supervisor }: CollectDependencies,
  bound: ReadonlySet<string>,
): MigrationFact[] {
  const root = path.join(config.stateDir, 'migrations');
  const names = list(root).filter((name) => migrationId.safeParse(name).success);
  return names.map((id) => {
    const dir = path.join(root, id);
    const inside = list(dir);
    const migration = store.get(id);
    const leftBecause = supervisor.leftBecause(id);
    const unreadable = migration === undefined ? undefined : store.unreadable(id)?.message;
    return {
      id,
      dir,
      restsMs: restsMs(dir),
      hasJournal: inside.some((name) => name.startsWith('journal-') && size(dir, name) > 0),
      sockets: inside
        .filter((name) => name.endsWith('.sock'))
        .map((name) => ({ path: path.join(dir, name), bound: bound.has(path.join(dir, name)) })),
      temporary: inside.filter((name) => name.endsWith('.tmp')).map((name) => path.join(dir, name)),
      tls: inside.includes('tls') ? path.join(dir, 'tls') : undefined,
      tapPrefix: tapName(id, 0).slice(0, -1),
      ...(migration === undefined
        ? {}
        : {
            known: {
              guest: guestOf(migration),
              isNameless: migration.damage?.isGuestKnown === false,
              side: migration.request.side,
              phase: store.progress(id).phase,
              moverAlive: movers.find(migration) !== undefined,
              ...defined({ leftBecause, unreadable }),
            },
          }),
    };
  });
}

async function directoryFact(
  { drivers }: CollectDependencies,
  dir: string,
  bound: ReadonlySet<string>,
): Promise<GuestDirectoryFact> {
  const listens = [...bound].some((socket) => socket.startsWith(`${dir}/`));
  const rests = restsMs(dir);
  // After the hypervisor has ended, no record names the driver, so each driver is asked.
  const known = await Promise.all(drivers.map(async (driver) => driver.guestDirectory?.(dir)));
  const inUse = listens || known.some((each) => each?.mayLive === true);
  return { name: path.basename(dir), dir, restsMs: rests, inUse };
}

/** Bound Unix sockets of this network namespace. */
function boundSockets(): ReadonlySet<string> {
  const sockets = unixSockets(readFileSync('/proc/net/unix', 'utf8'));
  return new Set(sockets.flatMap(({ boundTo }) => boundTo ?? []));
}

function tapFacts(): TapFact[] {
  return list('/sys/class/net')
    .filter((name) => OUR_TAP.test(name))
    .map((name) => ({ name, held: isHeld(name) }));
}

/** A tap has a carrier while a process holds it; a tap that is down does not report one. */
function isHeld(name: string): boolean | undefined {
  try {
    return readFileSync(`/sys/class/net/${name}/carrier`, 'utf8').trim() === '1';
  } catch {
    return undefined;
  }
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir).slice(0, MAX);
  } catch {
    return [];
  }
}

function restsMs(dir: string): number {
  const changed = statSync(dir, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return Math.max(0, Date.now() - changed);
}

function size(dir: string, name: string): number {
  return statSync(path.join(dir, name), { throwIfNoEntry: false })?.size ?? 0;
}
