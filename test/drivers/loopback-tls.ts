import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { issueLabPki } from '../../lab/pki.ts';
import type { StreamTls } from '../../src/port/direct.ts';

/** Certificates of hosts a and b on this machine's loopback, below a directory: what one shows the other. */
export async function loopbackTls(
  directory: string,
): Promise<(name: string, peer: string) => Promise<StreamTls>> {
  const pkiOf = (name: string): string => path.join(directory, name, 'pki');
  const hosts = ['a', 'b'].map((name) => ({
    name,
    pkiDir: pkiOf(name),
    addresses: ['127.0.0.1'],
  }));
  await issueLabPki(path.join(directory, 'pki'), hosts);
  return async (name, peer) => {
    const tls = path.join(directory, name, 'tls');
    await mkdir(tls, { recursive: true, mode: 0o700 });
    const files = {
      caFile: path.join(pkiOf(name), 'ca.crt'),
      certFile: path.join(pkiOf(name), 'host.crt'),
      keyFile: path.join(pkiOf(name), 'host.key'),
    };
    return { ...files, directory: tls, peer };
  };
}
