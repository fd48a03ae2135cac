/** Other ends of the wire, as processes on a host of the lab: callers with any certificate, and servers that play an agent. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { initCa, issue, storeCredentials, type Issue } from '../../../src/pki/authority.ts';
import { startAgent, stopAgent } from '../../../lab/agents.ts';
import { runCommand } from '../../../lab/command.ts';
import { inHost } from '../../../lab/entry.ts';
import { AGENT_PORT } from '../../../lab/plan.ts';
import { labHost } from '../../../lab/state.ts';
import type { SerialError } from '../../../src/errors.ts';
import type { World } from './world.ts';

const CALL = fileURLToPath(new URL('call-main.ts', import.meta.url));
const ATTACK = fileURLToPath(new URL('attack-main.ts', import.meta.url));
const FAKE_AGENT = fileURLToPath(new URL('fake-agent-main.ts', import.meta.url));

/** A folder with ca.crt, STEM.crt and STEM.key. */
export interface Identity {
  readonly directory: string;
  readonly stem: string;
}

export interface TypedCall {
  /** host:port */
  readonly address: string;
  /** The name that the server must prove. */
  readonly server: string;
  readonly contract: 'agent' | 'mover';
  readonly call: string;
  readonly input: object;
}

export type Answer = { readonly answer: unknown } | { readonly error: SerialError };

export function agentAddress({ lab }: World, host: string): string {
  return `${labHost(lab, host).address}:${AGENT_PORT}`;
}

/** The certificate that a host of the lab really has. */
export function hostIdentity({ lab }: World, host: string): Identity {
  return { directory: path.join(labHost(lab, host).stateDir, 'pki'), stem: 'host' };
}

/** The lab's operator. */
export function operatorIdentity({ lab }: World): Identity {
  return { directory: path.join(lab.dir, 'operator'), stem: 'operator' };
}

/** Issues a certificate into a folder of the lab; by a CA that nobody trusts where `stranger` is set. */
export async function makeIdentity(
  { lab }: World,
  given: Pick<Issue, 'name' | 'role'> & { readonly days?: number; readonly stranger?: boolean },
): Promise<Identity> {
  const { stranger = false, ...subject } = given;
  const kind = `${subject.name}-${subject.role}-${stranger ? 'stranger' : (subject.days ?? 'ours')}`;
  const directory = path.join(lab.dir, 'identities', kind);
  const caDir = stranger ? path.join(directory, 'ca') : path.join(lab.dir, 'ca');
  if (stranger) await initCa(caDir);
  storeCredentials(directory, await issue({ caDir, addresses: [], ...subject }));
  return { directory, stem: 'host' };
}

/** Calls an API from a host, with a certificate, by the typed client. */
export async function callFrom(
  { lab }: World,
  host: string,
  identity: Identity,
  call: TypedCall,
): Promise<Answer> {
  const given = JSON.stringify({ identity, ...call });
  const argv = [process.execPath, CALL, given];
  return JSON.parse(await runCommand(inHost(lab, host, argv), { deadlineMs: 40_000 })) as Answer;
}

export interface AttackResult {
  /** HTTP status; 0 when the connection ended without an answer. */
  readonly status: number;
  readonly code: string;
  /** The server ended the connection. */
  readonly closed: boolean;
  /** The first bytes that came, as hexadecimal digits. */
  readonly first: string;
}

/** Sends to an address what no peer should, all at once, and reads what comes back until it ends. */
export async function attackFrom<K extends string>(
  { lab }: World,
  host: string,
  identity: Identity,
  attacks: {
    readonly address: string;
    readonly path: string;
    readonly kinds: readonly K[];
    /** How long an end is waited for; default: longer than any limit of ours for a connection that says nothing. */
    readonly timeoutMs?: number;
  },
): Promise<Record<K, AttackResult>> {
  const given = JSON.stringify({ identity, ...attacks });
  const argv = [process.execPath, ATTACK, given];
  const output = await runCommand(inHost(lab, host, argv), { deadlineMs: 60_000 });
  return JSON.parse(output) as Record<K, AttackResult>;
}

export interface FakeAgent {
  /** Protocol versions that it says it speaks; default: ours. */
  readonly versions?: readonly number[];
  /** What it answers to everything else: `none` such route, a wrong shape, an endless body. */
  readonly manner?: 'none' | 'shape' | 'endless';
  readonly identity?: Identity;
}

/** Does `work` while a server of the test's own sits in the place of a host's agent. */
export async function withFakeAgent<T>(
  world: World,
  host: string,
  fake: FakeAgent,
  work: () => Promise<T>,
): Promise<T> {
  const { lab } = world;
  await stopAgent(lab, host);
  const given = JSON.stringify({
    identity: hostIdentity(world, host),
    address: agentAddress(world, host),
    name: host,
    ...fake,
  });
  const [program = '', ...args] = inHost(lab, host, [process.execPath, FAKE_AGENT, given]);
  const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(server, 'close');
  try {
    await Promise.race([
      once(server.stdout, 'data'),
      ended.then(() => Promise.reject(new Error('the fake agent ended'))),
    ]);
    return await work();
  } finally {
    server.kill('SIGKILL');
    await ended;
    await startAgent(lab, host);
  }
}

/** Does `work` while a host's agent runs with another certificate. */
export async function withIdentity<T>(
  world: World,
  host: string,
  identity: Identity,
  work: () => Promise<T>,
): Promise<T> {
  const { lab } = world;
  const { configFile } = labHost(lab, host);
  const change = async (pkiDir: string | undefined): Promise<void> => {
    await stopAgent(lab, host);
    const config = JSON.parse(await readFile(configFile, 'utf8')) as Record<string, unknown>;
    await writeFile(configFile, JSON.stringify({ ...config, pkiDir }), { mode: 0o600 });
    await startAgent(lab, host);
  };
  try {
    await change(identity.directory);
    return await work();
  } finally {
    await change(undefined);
    rmSync(identity.directory, { recursive: true, force: true });
  }
}
