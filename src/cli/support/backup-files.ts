import { createHash } from 'node:crypto';
import { createReadStream, existsSync, lstatSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { loadAgentConfig } from '../../config.ts';
import { controllerPkiDir, databaseOf, loadControllerConfig } from '../../controller/config.ts';
import { godwitError } from '../../errors.ts';
import { FLEET_FILE, pkiDirOf } from '../../host/fleet.ts';
import { loadRelayConfig } from '../../relay/config.ts';

/**
 * Files of a host's backup. Journals, standbys and expected guests are excluded: each may carry a right to run a guest
 * that another host has got since. Without them the host answers "unknown", and nothing starts.
 */

export interface BackupSource {
  readonly name: string;
  readonly directory: string;
  readonly files?: readonly string[];
}

export interface BackupPlan {
  readonly host: string;
  readonly sources: readonly BackupSource[];
  readonly stateDirs: readonly string[];
  /** An SQLite file, copied consistently. */
  readonly database?: { readonly file: string };
  /** Data that must be backed up in other ways. */
  readonly notes: readonly string[];
}

/** Long-lived files of an agent: the fleet's members and the guests' labels. */
const AGENT_FILES = [FLEET_FILE, 'guest-labels.json', 'guest-labels.log'];
const CONTROLLER_FILES = [FLEET_FILE, 'manager-keys.json'];
export const DATABASE = 'database/controller.db';

/** GODWIT_CONFIG if there is nothing to back up, or a configuration cannot be read. */
export function planBackup(configDir: string): BackupPlan {
  const at = (name: string): string => path.join(configDir, name);
  const sources: BackupSource[] = [{ name: 'config', directory: configDir }];
  const notes: string[] = [];
  const names: string[] = [];
  const stateDirs: string[] = [];
  let database: BackupPlan['database'];
  const add = (name: string, directory: string, files?: readonly string[]): void => {
    const isKnown = sources.some(
      (each) => each.files === undefined && isBelow(directory, each.directory),
    );
    if (!isKnown && existsSync(directory))
      sources.push({ name, directory, ...(files && { files }) });
  };
  if (existsSync(at('agent.json'))) {
    const config = loadAgentConfig(at('agent.json'));
    names.push(config.name);
    add('agent-pki', pkiDirOf(config));
    if (config.caDir !== undefined) add('ca', config.caDir);
    add('agent', config.stateDir, AGENT_FILES);
    stateDirs.push(path.resolve(config.stateDir));
  }
  if (existsSync(at('controller.json'))) {
    const config = loadControllerConfig(at('controller.json'));
    names.push(config.name);
    add('controller-pki', controllerPkiDir(config));
    add('controller', config.stateDir, CONTROLLER_FILES);
    stateDirs.push(path.resolve(config.stateDir));
    const place = databaseOf(config);
    if ('sqlite' in place) database = { file: path.resolve(place.sqlite) };
    else notes.push('The database is in PostgreSQL: back it up with pg_dump.');
  }
  if (existsSync(at('relay.json'))) {
    const config = loadRelayConfig(at('relay.json'));
    names.push(config.name);
    add('relay-pki', config.pkiDir);
  }
  const [host] = names;
  if (host === undefined) {
    const hint =
      'Run it on a host that `godwit init` or `godwit join` has set up, or give --config-dir.';
    throw godwitError('GODWIT_CONFIG', { file: configDir, what: 'has no configuration' }, { hint });
  }
  return {
    host,
    sources,
    stateDirs,
    notes,
    ...(database && existsSync(database.file) && { database }),
  };
}

function isBelow(directory: string, other: string): boolean {
  const relative = path.relative(other, directory);
  return relative === '' || (!relative.startsWith('..') && !path.isAbsolute(relative));
}

/** A larger directory contains more than configuration, such as an image. */
const MAX_FILES = 20_000;
const MAX_BYTES = 256 * 1024 * 1024;

/** Regular files of a source, by relative path. GODWIT_CONFIG beyond the bounds. */
export function filesOf({ directory, files }: BackupSource): string[] {
  const found: string[] = [];
  let bytes = 0;
  const look = (name: string): void => {
    const place = path.join(directory, name);
    const entry = lstatSync(place, { throwIfNoEntry: false });
    if (entry?.isDirectory() === true) {
      for (const each of readdirSync(path.join(directory, name)).toSorted())
        look(path.join(name, each));
    }
    // Links to files are followed; links to directories, sockets and other kinds are skipped.
    const stat = statSync(place, { throwIfNoEntry: false });
    if (stat?.isFile() !== true) return;
    bytes += stat.size;
    found.push(name);
    if (found.length <= MAX_FILES && bytes <= MAX_BYTES) return;
    const what = `has more than ${MAX_FILES} files or ${MAX_BYTES / 1024 ** 2} MiB`;
    const hint = 'Move files that are not configuration elsewhere.';
    throw godwitError('GODWIT_CONFIG', { file: directory, what }, { hint });
  };
  for (const each of files ?? readdirSync(directory).toSorted()) look(each);
  return found;
}

const relative = z
  .string()
  .min(1)
  .max(4096)
  .refine((name) => !path.isAbsolute(name) && !name.split('/').includes('..'), 'leads elsewhere');
const absolute = z.string().min(1).max(4096).refine(path.isAbsolute, 'not an absolute path');

/** `place` is the path on the host, `name` the path in the archive. */
const entry = {
  place: absolute,
  mode: z.int().min(0).max(0o777),
  uid: z.int().min(0),
  gid: z.int().min(0),
};

/** First file of an archive: its contents and their places. */
export const backupManifest = z.object({
  format: z.literal(1),
  version: z.string().max(64),
  madeAt: z.string().max(64),
  host: z.string().max(256),
  /** State directories of agent and controller, which must be without state for a restore. */
  stateDirs: z.array(absolute).max(8),
  /** Parents first. */
  directories: z.array(z.object(entry)).max(4 * MAX_FILES),
  files: z
    .array(z.object({ ...entry, name: relative, sha256: z.string().length(64) }))
    .max(4 * MAX_FILES),
});
export type BackupManifest = z.infer<typeof backupManifest>;

export const MANIFEST = 'manifest.json';
export const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;

export async function sumOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
