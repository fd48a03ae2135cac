import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readJournals } from '../src/host/journal/journal.ts';
import type { ProcessIdentity } from '../src/system/processes/process.ts';
import { agentsOf, stopAgent } from '../lab/agents.ts';
import { inHost } from '../lab/entry.ts';
import { labEnvironment } from '../lab/environment.ts';
import { startGuest } from '../lab/guest/start.ts';
import { startDetached } from '../lab/processes.ts';
import { labHost, storageDirectory } from '../lab/state.ts';
import type { GuestDescription } from '../src/protocol/peer/migration.ts';
import { startBareGuest } from '../test/e2e/support/bare-guest.ts';
import { move } from '../test/e2e/support/moves.ts';
import { agentAddress } from '../test/e2e/support/peers.ts';
import { until } from '../test/until.ts';
import { openWorld, type World } from '../test/e2e/support/world.ts';
import { MIB, type Facts } from './facts.ts';
import { holeEnvironment } from './holes/hole.ts';
import { HOLES } from './holes/holes.ts';
import { Talker } from './line-program.ts';
import { TRACER } from './witness/trace.ts';

/** The attacked host, which holds the CA; an honest third one; and the one whose certificate is misused. */
export const [TARGET, OTHER, EVIL] = ['a', 'b', 'c'] as const;
/** Boots, and checks its own memory and disk. */
export const CALM = 'calm1';
/** Came by a migration, so that the host has records and files of it. */
export const MOVED = 'moved1';
const FOREIGN = { id: 'm-foreign1', guest: 'theirs1', epoch: 11 };
/** Its last word to a mover, which may be gone. */
const KEEPER_MS = 4000;
const AGENT = fileURLToPath(new URL('../src/bin/agent.ts', import.meta.url));
const KEEPER = fileURLToPath(new URL('keeper-main.ts', import.meta.url));
const ATTACKER = fileURLToPath(new URL('attacker-main.ts', import.meta.url));
const COLLECTS = new URL('witness/collects.ts', import.meta.url).href;

export interface Stage {
  readonly world: World;
  readonly facts: Facts;
  readonly traceFile: string;
  readonly agent: ProcessIdentity;
  /** Speaks for the honest host, whose migration stands while all of it goes on. */
  readonly keeper: Talker;
  /** Files that nobody has business with. */
  readonly traps: readonly string[];
  attacker(seed: number): Talker;
  close(): Promise<void>;
}

/** Builds the hosts, their guests and what is watched. `hole`: the attacked host runs with that defect. */
export async function openStage(hole?: string): Promise<Stage> {
  const limits = { migrationsIn: 32, migrationsOut: 8, memoryReserveBytes: 256 * MIB };
  const world = await openWorld('foul', {
    hosts: 3,
    configure: (host) => (host === TARGET ? { limits } : {}),
  });
  try {
    return await furnish(world, hole);
  } catch (error) {
    await world.close();
    throw error;
  }
}

async function furnish(world: World, hole: string | undefined): Promise<Stage> {
  const { lab } = world;
  await startGuest(lab, {
    name: CALM,
    host: TARGET,
    memoryBytes: 128 * MIB,
    disks: [{ bytes: 16 * MIB, thin: true }],
  });
  const { description, ended } = await moveOne(world);
  const traceFile = path.join(lab.dir, 'trace');
  const agent = await traced(world, traceFile, hole);
  await stopAgent(lab, EVIL);
  const traps = makeTraps(world);
  const from = labHost(lab, OTHER);
  const admission = {
    ...FOREIGN,
    from: OTHER,
    memoryBytes: description.memoryBytes,
    timeoutMs: 86_400_000,
  };
  const keeping = {
    pkiDir: path.join(from.stateDir, 'pki'),
    address: agentAddress(world, TARGET),
    server: TARGET,
    admission,
  };
  const keeper = new Talker(
    inHost(lab, OTHER, [process.execPath, KEEPER, JSON.stringify(keeping)]),
  );
  const { moverAddress } = (await keeper.next()) as { moverAddress: string };
  const facts: Facts = {
    self: EVIL,
    pkiDir: path.join(labHost(lab, EVIL).stateDir, 'pki'),
    selfAddress: agentAddress(world, EVIL),
    target: { name: TARGET, address: agentAddress(world, TARGET) },
    other: OTHER,
    guests: [CALM, MOVED],
    foreign: { ...FOREIGN, moverAddress },
    ended,
    paths: [...traps, ...pathsOf(world)],
    description,
  };
  const attacker = (seed: number): Talker => {
    const given = JSON.stringify({ facts, seed });
    return new Talker(inHost(lab, EVIL, [process.execPath, ATTACKER, given]));
  };
  const close = async (): Promise<void> => {
    await keeper.end(KEEPER_MS);
    await world.close();
  };
  return { world, facts, traceFile, agent, keeper, traps, attacker, close };
}

/** Moves a guest to the attacked host: afterwards it stands there, and its description is known. */
async function moveOne(
  world: World,
): Promise<{ readonly description: GuestDescription; readonly ended: string }> {
  await startBareGuest(world, { name: MOVED, host: OTHER });
  const { id } = await move(world, { guest: MOVED, from: OTHER, to: TARGET });
  const dir = path.join(labHost(world.lab, TARGET).stateDir, 'migrations', id);
  for (const { event } of readJournals(dir).destination) {
    if (event.type === 'preparing') {
      return { description: event.preparation.description, ended: id };
    }
  }
  throw new Error(`${id} was not prepared`);
}

/** The attacked host's agent anew, with all that it starts under the eyes of the kernel’s tracer. */
async function traced(
  world: World,
  traceFile: string,
  hole: string | undefined,
): Promise<ProcessIdentity> {
  const { lab } = world;
  const member = labHost(lab, TARGET);
  await stopAgent(lab, TARGET);
  const argv = [process.execPath, AGENT, '--config', member.configFile];
  const hooked =
    hole === undefined
      ? { NODE_OPTIONS: `--import=${COLLECTS}` }
      : holeEnvironment(HOLES, hole, [COLLECTS]);
  const started = await startDetached(inHost(lab, TARGET, [...TRACER, '-o', traceFile, ...argv]), {
    logFile: member.agentLog,
    env: { ...labEnvironment(lab), ...hooked },
  });
  await until('the traced agent to answer', 30_000, () =>
    world
      .agent(TARGET)
      .health({}, { deadlineMs: 1000 })
      .catch(() => undefined),
  );
  const [agent] = (await agentsOf(lab, TARGET)).filter(({ pid }) => pid === started.pid);
  if (agent === undefined) throw new Error('the traced agent has ended');
  return agent;
}

/** Files that exist, and that nothing of the product knows. */
function makeTraps({ lab }: World): string[] {
  const dir = path.join(lab.dir, 'traps');
  mkdirSync(dir, { mode: 0o755 });
  const secret = path.join(dir, 'secret');
  writeFileSync(secret, 'secret\n', { mode: 0o644 });
  const image = path.join(dir, 'image.raw');
  writeFileSync(image, Buffer.alloc(MIB), { mode: 0o666 });
  return [dir, secret, image];
}

/** What a stranger would look for on the attacked host. */
function pathsOf({ lab }: World): string[] {
  const { stateDir, agentSocket } = labHost(lab, TARGET);
  const storage = storageDirectory(lab, TARGET);
  return [
    '/etc/shadow',
    '/etc/cron.d/x',
    agentSocket,
    `${stateDir}/pki/host.key`,
    `${stateDir}/guests/${MOVED}/qmp.sock`,
    `${storage}/${CALM}/disk0.qcow2`,
    `../${CALM}/disk0.qcow2`,
    `${CALM}/disk0.qcow2`,
  ];
}
