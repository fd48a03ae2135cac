import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../errors.ts';
import { makeDirSynced, writeWhole } from '../../system/files/whole-file.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import type { ConnectionFlags } from '../context.ts';

/** A user's named fleets, in a file: `godwit context`. */

type Env = Readonly<Record<string, string | undefined>>;

const MAX_BYTES = 256 * 1024;
const place = z.string().min(1).max(4096);
export const contextName = z
  .string()
  .regex(/^[A-Za-z0-9][\w.-]{0,62}$/, 'a name of letters, digits, - . and _');

export const fleetContext = z.strictObject({
  /** As --agent; excludes `lab`. */
  agent: place.optional(),
  lab: place.optional(),
  controller: place.optional(),
  /** A folder with ca.crt, a certificate and a key, as `godwit pki issue` creates it. */
  certificates: place.optional(),
});
export type FleetContext = z.infer<typeof fleetContext>;

const contextsFile = z.strictObject({
  /** Used without --context and GODWIT_CONTEXT. */
  current: contextName.optional(),
  contexts: z.record(contextName, fleetContext),
});
export type Contexts = z.infer<typeof contextsFile>;

export interface ChosenContext extends FleetContext {
  readonly name: string;
  /** The argument --context, which overrides the environment. */
  readonly isTyped: boolean;
}

/** The context of --context or GODWIT_CONTEXT, or the one in use. GODWIT_USAGE or GODWIT_CONFIG. */
export function chosenContext(flags: ConnectionFlags, env: Env): ChosenContext | undefined {
  const { current, contexts } = readContexts(env);
  const name = flags.context ?? (env['GODWIT_CONTEXT'] || current);
  if (name === undefined) return undefined;
  return { ...contextOf(contexts, name), name, isTyped: flags.context !== undefined };
}

export function contextOf(contexts: Contexts['contexts'], name: string): FleetContext {
  const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (found !== undefined) return found;
  const near = didYouMean(name, Object.keys(contexts));
  const list = '`godwit context list` shows those there are.';
  throw godwitError(
    'GODWIT_USAGE',
    { what: `there is no context "${name.slice(0, 80)}"` },
    { hint: near === undefined ? list : `${near} ${list}` },
  );
}

/** Applies `changes`, of which empty ones are removed. Creates the context if necessary. */
export function withContext(
  { current, contexts }: Contexts,
  name: string,
  changes: FleetContext,
): Contexts {
  const before = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  const { agent, lab, ...others } = { ...before };
  const kept = changes.agent === undefined && changes.lab === undefined ? { agent, lab } : {};
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  const all = Object.entries({ ...others, ...kept, ...Object.fromEntries(given) });
  const after = Object.fromEntries(all.filter(([, value]) => value !== undefined && value !== ''));
  return {
    current: Object.keys(contexts).length === 0 ? name : current,
    contexts: { ...contexts, [name]: after },
  };
}

export function withoutContext({ current, contexts }: Contexts, name: string): Contexts {
  const others = Object.entries(contexts).filter(([each]) => each !== name);
  return {
    current: current === name ? undefined : current,
    contexts: Object.fromEntries(others),
  };
}

/** Empty without a file. GODWIT_CONFIG if it cannot be read or is invalid. */
export function readContexts(env: Env): Contexts {
  const file = fileOf(env);
  if (file === undefined) return { contexts: {} };
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { contexts: {} };
    throw wrong(file, `cannot be read (${code ?? 'no reason given'})`, cause);
  }
  return parseContexts(text, file);
}

export function parseContexts(text: string, file: string): Contexts {
  if (text.length > MAX_BYTES) throw wrong(file, 'is too long to be a file of contexts');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw wrong(file, `is not JSON: ${(cause as Error).message.slice(0, 200)}`, cause);
  }
  const parsed = contextsFile.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    throw wrong(file, `${where}${issue?.message ?? ''}`.slice(0, 300), parsed.error);
  }
  const { current, contexts } = parsed.data;
  if (current !== undefined && !Object.hasOwn(contexts, current))
    throw wrong(file, `current: there is no context "${current}"`);
  return parsed.data;
}

/** Atomic. GODWIT_USAGE if this user has no place for it, GODWIT_CONFIG if it cannot be written. */
export function writeContexts(env: Env, contexts: Contexts): void {
  const file = fileOf(env);
  if (file === undefined) {
    const what = 'there is no place for contexts: neither XDG_CONFIG_HOME nor HOME is set';
    throw godwitError('GODWIT_USAGE', { what }, { hint: 'Set HOME, and try again.' });
  }
  const text = `${JSON.stringify(contexts, undefined, 2)}\n`;
  parseContexts(text, file);
  try {
    makeDirSynced(path.dirname(file));
    writeWhole(file, text, `${file}.${process.pid}`);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw wrong(file, `cannot be written (${code ?? 'no reason given'})`, cause);
  }
}

/** https://specifications.freedesktop.org/basedir-spec: relative paths are ignored. */
function fileOf({ XDG_CONFIG_HOME: own = '', HOME: home = '' }: Env): string | undefined {
  if (path.isAbsolute(own)) return path.join(own, 'godwit', 'contexts.json');
  return path.isAbsolute(home) ? path.join(home, '.config', 'godwit', 'contexts.json') : undefined;
}

function wrong(file: string, what: string, cause?: unknown): Error {
  const hint = 'Fix it, or remove it and make the contexts again with `godwit context set`.';
  return godwitError('GODWIT_CONFIG', { file, what }, { hint, cause });
}
