import { X509Certificate } from 'node:crypto';
import { access, constants, readFile, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../clock.ts';
import type { AgentConfig } from '../config.ts';
import { HOOK_NAMES } from '../hooks/hooks.ts';
import type { HostFacts } from '../protocol/peer/host-facts.ts';
import { PRODUCT_VERSION } from '../protocol/version.ts';
import { HOST_CERT } from './credentials.ts';
import { pkiDirOf } from './fleet.ts';
import { readPlatform } from './platform.ts';

/** Reads what this host reports to the other host of a migration, for checks. What cannot be read is left out. */
export function hostFactsOf(config: AgentConfig, clock: Clock): () => Promise<HostFacts> {
  return () => readHostFacts(config, () => clock.wallMs());
}

async function readHostFacts(config: AgentConfig, wallMs: () => number): Promise<HostFacts> {
  const [journalFreeBytes, certificateEndsMs, hooks, platform] = await Promise.all([
    freeBytes(config.stateDir),
    certificateEnd(config),
    hooksOf(config),
    readPlatform(),
  ]);
  return {
    name: config.name,
    version: PRODUCT_VERSION,
    ...(journalFreeBytes === undefined ? {} : { journalFreeBytes }),
    ...(certificateEndsMs === undefined ? {} : { certificateEndsMs }),
    hooks,
    platform,
    // Read last: the less lies between it and the answer, the better.
    wallMs: wallMs(),
  };
}

async function freeBytes(directory: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

async function certificateEnd(config: AgentConfig): Promise<number | undefined> {
  try {
    const text = await readFile(path.join(pkiDirOf(config), HOST_CERT));
    return Math.max(0, new X509Certificate(text).validToDate.getTime());
  } catch {
    return undefined;
  }
}

/** The hooks that would be called here. */
export async function hooksOf({ hooks }: Pick<AgentConfig, 'hooks'>): Promise<string[]> {
  if (hooks === undefined) return [];
  const found = HOOK_NAMES.map(async (name) => {
    const file = path.join(hooks.directory, name);
    return access(file, constants.X_OK).then(
      () => [name],
      () => [],
    );
  });
  return (await Promise.all(found)).flat();
}
