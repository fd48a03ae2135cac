/**
 * Debian's apache2 with mod_auth_gssapi, in front of a pretended WinRM: it alone decides who is let in, and knows nothing of
 * Godwit. As WinRM does, it remembers for a connection who is there.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { X509Certificate } from 'node:crypto';
import { makeAuthority } from '../../../src/pki/x509.ts';
import { until } from '../../until.ts';
import { ended, freePort } from './realm.ts';

const LISTENS_MS = 20_000;

export interface WebServer {
  readonly url: string;
  /** SHA-256 of its certificate, 64 hex digits. */
  readonly fingerprint: string;
  stop(): Promise<void>;
}

interface WebServerOptions {
  readonly root: string;
  readonly dir: string;
  /** The WinRM behind it. */
  readonly behind: string;
  readonly mechanism: 'krb5' | 'ntlmssp';
  readonly env: NodeJS.ProcessEnv;
  /** As libfaketime reads it: how wrong its clock is. */
  readonly clock?: string;
  readonly credentials?: string;
  /** It lets clients in without proof that it is itself. */
  readonly provesNothing?: boolean;
}

const MODULES = [
  'mpm_event',
  'authz_core',
  'authz_user',
  'authn_core',
  'ssl',
  'proxy',
  'proxy_http',
  'auth_gssapi',
  'headers',
];

export async function serveWeb(wanted: WebServerOptions): Promise<WebServer> {
  const { root, dir, env, clock } = wanted;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const port = await freePort();
  const { cert, key } = await makeAuthority('localhost', { nowMs: Date.now(), days: 1 });
  writeFileSync(path.join(dir, 'cert.pem'), cert);
  writeFileSync(path.join(dir, 'key.pem'), key, { mode: 0o600 });
  const file = path.join(dir, 'apache.conf');
  writeFileSync(file, configuration(wanted, port));
  const child = spawn(path.join(root, 'usr/sbin/apache2'), ['-X', '-f', file], {
    env: { PATH: process.env['PATH'], ...env, ...(clock === undefined ? {} : wrong(root, clock)) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (said += text));
  // With one process it does not say that it is ready.
  await until('apache2 to listen', LISTENS_MS, async () => {
    if (child.exitCode !== null) throw new Error(`apache2 did not start: ${said}`);
    return (await isListening(port)) ? true : undefined;
  });
  return {
    url: `https://localhost:${port}/wsman`,
    fingerprint: new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase(),
    stop: () => ended(child),
  };
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function wrong(root: string, clock: string): NodeJS.ProcessEnv {
  const [library] = globSync(path.join(root, 'usr/lib/*/faketime/libfaketime.so.1'));
  return { LD_PRELOAD: library, FAKETIME: clock, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
}

function configuration(wanted: WebServerOptions, port: number): string {
  const { root, dir, behind, mechanism, credentials, provesNothing } = wanted;
  const loaded = MODULES.map(
    (name) => `LoadModule ${name}_module ${root}/usr/lib/apache2/modules/mod_${name}.so`,
  );
  return `ServerName localhost
ServerRoot ${dir}
PidFile ${dir}/apache.pid
DefaultRuntimeDir ${dir}
Mutex file:${dir}
Listen 127.0.0.1:${port}
ErrorLog ${dir}/error.log
LogLevel notice
${loaded.join('\n')}
StartServers 1
SSLEngine on
SSLCertificateFile ${dir}/cert.pem
SSLCertificateKeyFile ${dir}/key.pem
SSLProxyEngine on
SSLProxyVerify none
SSLProxyCheckPeerName off
SSLProxyCheckPeerCN off
<Location />
  AuthType GSSAPI
  AuthName WSMAN
  GssapiAllowedMech ${mechanism}
  ${credentials === undefined ? '' : `GssapiCredStore ${credentials}`}
  ${provesNothing === true ? 'Header always unset WWW-Authenticate "expr=%{REQUEST_STATUS} -eq 200"' : ''}
  GssapiConnectionBound On
  GssapiSSLonly On
  Require valid-user
  ProxyPass ${new URL(behind).origin}/
</Location>
`;
}
