import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import type { StreamTls } from '../../drivers/port/driver.ts';
import { readCredentials } from '../../rpc/tls.ts';
import type { Credentials } from '../../rpc/tls.ts';

function pkiDirOf(config: AgentConfig): string {
  return config.pkiDir ?? path.join(config.stateDir, 'pki');
}

/** This host’s certificate and key, for calls to the other host. */
export function hostCredentials(config: AgentConfig): Credentials {
  return readCredentials(pkiDirOf(config));
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
