import { execFile } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync, type Dirent } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { toGodwitError } from '../../errors.ts';
import { PRODUCT_VERSION, PROTOCOL_VERSIONS } from '../../protocol/version.ts';
import { redactValue } from '../../words/redact.ts';
import { painter } from '../../words/style.ts';
import type { AgentSet } from '../connection/agent-set.ts';
import type { Context, ConnectionFlags } from '../context.ts';
import { collectFacts } from '../doctor/collect.ts';
import { judge } from '../doctor/judge.ts';
import { doctorText } from '../render/findings.ts';
import type { BundlePart } from './bundle.ts';

/** Reads a support bundle's parts on this host. Changes nothing, and lists unreadable parts. */

const UNITS = ['godwit-agent', 'godwit-controller', 'godwit-relay'];
const MAX_LOG_LINES = 4000;
const MAX_REPORTS = 10;
const MAX_MIGRATIONS = 100;
const MAX_LISTED = 2000;
const MAX_SECRET_BYTES = 64 * 1024;
const COMMAND_MS = 10_000;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

export const CONFIG_DIR = '/etc/godwit';
const CONFIGS = ['agent.json', 'controller.json', 'relay.json'];

/** Files whose contents must not be in a bundle. */
const SECRET_FILES = /\.key$|^site\.secret|^manager-keys\.json$/;

const places = z.object({
  stateDir: z.string().optional(),
  pkiDir: z.string().optional(),
  caDir: z.string().optional(),
});

export interface BundleContents {
  readonly parts: readonly BundlePart[];
  readonly secrets: readonly string[];
}

export async function collectParts(
  context: Context,
  connection: ConnectionFlags,
  configDir: string,
): Promise<BundleContents> {
  const configs = CONFIGS.map((name) => path.join(configDir, name)).filter((each) =>
    existsSync(each),
  );
  const directories = [...new Set(configs.flatMap(directoriesIn))];
  const agentConfig = configs.find((each) => each.endsWith('/agent.json'));
  const parts = [
    part('versions', versionsText),
    part('doctor', async () =>
      doctorText(judge(await collectFacts(context, connection, agentConfig)), painter(false)),
    ),
    ...configs.map((file) => part(file, () => configText(file))),
    ...agentParts(context, connection),
    ...UNITS.map((unit) => part(`log of ${unit}`, () => logText(unit), 'end')),
    ...directories.map((each) => part(`files of ${each}`, () => listing(each))),
  ];
  const made: BundlePart[] = [];
  for (const each of parts) made.push(await each());
  return { parts: made, secrets: directories.flatMap(secretsIn) };
}

type MakePart = () => Promise<BundlePart>;

function part(
  name: string,
  read: () => string | Promise<string>,
  keep: 'start' | 'end' = 'start',
): MakePart {
  return async () => {
    try {
      return { name, text: await read(), keep };
    } catch (thrown) {
      return { name, text: `not available: ${toGodwitError(thrown).message}` };
    }
  };
}

function versionsText(): string {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return [
    `godwit ${PRODUCT_VERSION}, protocol ${PROTOCOL_VERSIONS.join(', ')}, Node ${process.versions.node}`,
    `${os.type()} ${os.release()} ${os.arch()}, ${/^PRETTY_NAME=(.*)$/m.exec(release)?.[1] ?? ''}`,
    `${os.availableParallelism()} processors, ${os.totalmem()} bytes of memory, up ${Math.round(os.uptime())} s`,
  ].join('\n');
}

function configText(file: string): string {
  const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
  return JSON.stringify(redactValue(value), null, 2);
}

function agentParts(context: Context, connection: ConnectionFlags): MakePart[] {
  const ask = async (read: (api: AgentSet['endpoints'][0]['api']) => Promise<unknown>) => {
    const fleet = await context.connect(connection);
    try {
      return JSON.stringify(redactValue(await read(fleet.endpoints[0].api)), null, 1);
    } finally {
      fleet.close();
    }
  };
  const query = { scope: 'local', limit: MAX_MIGRATIONS } as const;
  return [
    part('hosts', () => ask((api) => api.hosts())),
    part('trust', () => ask((api) => api.trust())),
    part('migrations', () => ask((api) => api.migrations({ query }))),
    part('reports of the newest migrations', () =>
      ask(async (api) => {
        const { migrations } = await api.migrations({ query });
        const newest = migrations.slice(0, MAX_REPORTS);
        return Promise.all(newest.map(({ id }) => api.report({ params: { id } })));
      }),
    ),
  ];
}

async function logText(unit: string): Promise<string> {
  const argv = ['-u', unit, '-n', String(MAX_LOG_LINES), '--no-pager', '-o', 'short-iso', '-q'];
  const options = { timeout: COMMAND_MS, maxBuffer: MAX_OUTPUT_BYTES };
  return (await promisify(execFile)('journalctl', argv, options)).stdout;
}

function directoriesIn(file: string): string[] {
  try {
    const { stateDir, pkiDir, caDir } = places.parse(JSON.parse(readFileSync(file, 'utf8')));
    return [stateDir, pkiDir, caDir].filter((each) => each !== undefined);
  } catch {
    return [];
  }
}

/** Names, modes, sizes and times below a directory, without contents. */
function listing(directory: string): string {
  const names = namesBelow(directory);
  const lines = names.map((name) => {
    const stat = lstatSync(path.join(directory, name), { throwIfNoEntry: false });
    if (stat === undefined) return `${name}: gone`;
    const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0');
    return `${mode} ${String(stat.size).padStart(12)} ${stat.mtime.toISOString()} ${name}`;
  });
  return lines.join('\n');
}

function namesBelow(directory: string): string[] {
  const found: string[] = [];
  const waiting = [''];
  for (
    let at = waiting.shift();
    at !== undefined && found.length < MAX_LISTED;
    at = waiting.shift()
  ) {
    for (const entry of entriesOf(path.join(directory, at))) {
      const name = path.join(at, entry.name);
      found.push(name);
      if (entry.isDirectory()) waiting.push(name);
    }
  }
  return found.slice(0, MAX_LISTED);
}

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function secretsIn(directory: string): string[] {
  return namesBelow(directory)
    .filter((name) => SECRET_FILES.test(path.basename(name)))
    .map((name) => path.join(directory, name))
    .filter((file) => (lstatSync(file, { throwIfNoEntry: false })?.size ?? 0) <= MAX_SECRET_BYTES)
    .map(textOf);
}
