import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import type { StreamTls } from '../../drivers/port/direct.ts';
import { Fleet, pkiDirOf } from '../../host/fleet.ts';
import { readCredentials } from '../../rpc/tls.ts';
import type { Credentials } from '../../rpc/tls.ts';

/** This host’s certificate and key, for calls to the other host, and who of its fleet counts. */
export function hostCredentials(config: AgentConfig): Credentials {
  const fleet = new Fleet(config);
  return { ...readCredentials(pkiDirOf(config)), refuses: (shown) => fleet.refuses(shown) };
}

/** The same certificate for the hypervisor’s own stream; `dir` is the migration’s directory. */
export function streamTls(config: AgentConfig, dir: string, peer: string): StreamTls {
  const pki = pkiDirOf(config);
  return {
    caFile: path.join(pki, 'ca.crt'),
    certFile: path.join(pki, 'host.crt'),
    keyFile: path.join(pki, 'host.key'),
    directory: path.join(dir, 'tls'),
    peer,
  };
}
