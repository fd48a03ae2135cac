import { X509Certificate } from 'node:crypto';
import { access, constants, readdir, readFile, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { HOOK_NAMES } from '../../hooks/hooks.ts';
import { defined } from '../../protocol/defined.ts';
import { MAX_SITE_CHECKS, type HostFacts } from '../../protocol/peer/host-facts.ts';
import { siteCheckName } from '../../protocol/public/site-check.ts';
import { PRODUCT_VERSION } from '../../protocol/version.ts';
import { HOST_CERT } from '../credentials.ts';
import { pkiDirOf } from '../fleet.ts';
import { readPlatform } from './platform.ts';
import { rdmaDevices } from './rdma.ts';

/** Unreadable facts are left out. */
export function hostFactsOf(config: AgentConfig, clock: Clock): () => Promise<HostFacts> {
  return () => readHostFacts(config, () => clock.wallMs());
}

async function readHostFacts(config: AgentConfig, wallMs: () => number): Promise<HostFacts> {
  const [journalFreeBytes, certificateEndsMs, hooks, siteChecks, platform, rdma] =
    await Promise.all([
      freeBytes(config.stateDir),
      certificateEnd(config),
      hooksOf(config),
      siteChecksOf(config),
      readPlatform(),
      rdmaDevices(),
    ]);
  return {
    name: config.name,
    version: PRODUCT_VERSION,
    ...defined({ journalFreeBytes, certificateEndsMs }),
    hooks,
    siteChecks,
    unencryptedMemory: config.unencryptedMemory,
    rdma,
    platform,
    givesBack: true,
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

export async function hooksOf({ hooks }: Pick<AgentConfig, 'hooks'>): Promise<string[]> {
  if (hooks === undefined) return [];
  return executables(hooks.directory, HOOK_NAMES);
}

async function siteChecksOf({ hooks }: Pick<AgentConfig, 'hooks'>): Promise<string[]> {
  if (hooks === undefined) return [];
  const names = await readdir(hooks.directory).catch(() => []);
  const checks = names.filter((name) => siteCheckName.safeParse(name).success).toSorted();
  return executables(hooks.directory, checks.slice(0, MAX_SITE_CHECKS));
}

async function executables(directory: string, names: readonly string[]): Promise<string[]> {
  const found = names.map(async (name) =>
    access(path.join(directory, name), constants.X_OK).then(
      () => [name],
      () => [],
    ),
  );
  return (await Promise.all(found)).flat();
}
