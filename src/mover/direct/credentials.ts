import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import type { StreamTls } from '../../port/direct.ts';
import { Fleet, pkiDirOf } from '../../host/fleet.ts';

export function streamTls(config: AgentConfig, dir: string, peer: string): StreamTls {
  const pki = pkiDirOf(config);
  const fleet = new Fleet(config);
  return {
    caFile: path.join(pki, 'ca.crt'),
    certFile: path.join(pki, 'host.crt'),
    keyFile: path.join(pki, 'host.key'),
    directory: path.join(dir, 'tls'),
    peer,
    refuses: (shown) => fleet.refuses(shown),
  };
}
