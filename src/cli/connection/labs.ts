import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../errors.ts';

/**
 * Finds this machine's labs and their agents. A clone of Godwit builds labs (`lab/`); the command line can use agents
 * of any build.
 */

/** `building`: its builder has not finished, or has died. */
export const labPhase = z.enum(['building', 'up']);
export const labHosts = z
  .array(z.string().regex(/^[a-z]$/))
  .min(1)
  .max(26);
/** The part of lab.json with the agents; the rest is for the lab. */
const runningLab = z.object({ phase: labPhase, hosts: labHosts });

export interface LabAgent {
  readonly name: string;
  readonly agentSocket: string;
}

const LAB_NAME = /^[a-z][a-z0-9]{0,7}(-[a-z0-9]{1,6}){0,2}$/;

/** Throws GODWIT_USAGE with the rule for an invalid name. */
export function checkLabName(name: string): string {
  if (LAB_NAME.test(name)) return name;
  throw godwitError(
    'GODWIT_USAGE',
    { what: `"${name.slice(0, 40)}" cannot be a lab's name` },
    { hint: 'Use up to 8 lower-case letters and digits, such as lab or demo-1.' },
  );
}

/** Directory of labs; short, because Unix sockets are below and their paths are limited to 107 bytes. */
export function labsDirectory(
  env: NodeJS.ProcessEnv = process.env,
  uid = process.getuid?.(),
): string {
  if (env['GODWIT_LAB_DIR']) return path.resolve(env['GODWIT_LAB_DIR']);
  if (uid === 0) return '/run/godwit-lab';
  return path.join(env['XDG_RUNTIME_DIR'] || temporaryHome(uid), 'godwit-lab');
}

export function temporaryHome(uid = process.getuid?.()): string {
  return path.join(tmpdir(), `godwit-${uid}`);
}

export function labDirectory(name: string): string {
  return path.join(labsDirectory(), checkLabName(name));
}

export function labHostPlace(
  name: string,
  host: string,
): { readonly dir: string; readonly agentSocket: string } {
  const dir = path.join(labDirectory(name), 'hosts', host);
  return { dir, agentSocket: path.join(dir, 'state', 'agent.sock') };
}

export async function labNames(): Promise<string[]> {
  const entries = await readdir(labsDirectory(), { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** Parses lab.json; undefined if it is missing. Throws GODWIT_LAB if it cannot be read. */
export async function readLabFile<T>(name: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const file = path.join(labDirectory(name), 'lab.json');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw godwitError('GODWIT_LAB', { what: `${file} is not a lab's state` }, { cause });
  }
}

/** Agents of a lab; undefined if no such lab is up. Throws as `readLabFile`. */
export async function findLab(name: string): Promise<readonly LabAgent[] | undefined> {
  const state = await readLabFile(name, runningLab);
  if (state?.phase !== 'up') return undefined;
  return state.hosts.map((host) => {
    const { agentSocket } = labHostPlace(name, host);
    return { name: host, agentSocket };
  });
}
