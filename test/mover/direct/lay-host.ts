import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { parseAgentConfig, type AgentConfig } from '../../../src/config.ts';
import type { Credentials } from '../../../src/rpc/tls.ts';
import { authority } from '../../rpc/test-contract.ts';

export interface Hosts {
  readonly a: Credentials;
  readonly b: Credentials;
}

/** Certificates of two hosts of one fleet. */
export async function hostsFor(t: TestContext): Promise<Hosts> {
  const { issue } = await authority(t);
  return { a: await issue('a', 'agent'), b: await issue('b', 'agent') };
}

/** Below `top`: what a host keeps, with its certificate, and a directory for disks. */
export function layHost(top: string, name: 'a' | 'b', credentials: Credentials): AgentConfig {
  const [stateDir, storage] = [path.join(top, name), path.join(top, `${name}-storage`)];
  layPki(stateDir, credentials);
  for (const each of [path.join(stateDir, 'm'), storage]) mkdirSync(each, { recursive: true });
  const address = '127.0.0.1:7001';
  const peers = { [name === 'a' ? 'b' : 'a']: { address } };
  const text = { name, address, stateDir, peers, storage: [{ path: storage }] };
  return parseAgentConfig('agent.json', JSON.stringify(text));
}

export function layPki(stateDir: string, { ca, cert, key }: Credentials): void {
  const pki = path.join(stateDir, 'pki');
  mkdirSync(pki, { recursive: true });
  writeFileSync(path.join(pki, 'ca.crt'), ca);
  writeFileSync(path.join(pki, 'host.crt'), cert);
  writeFileSync(path.join(pki, 'host.key'), key);
}
