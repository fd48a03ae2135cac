import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { makeAuthority } from '../../../../src/pki/x509.ts';
import { WinrmClient } from '../../../../src/drivers/hyperv/wsman/client.ts';
import { cacheDirectory } from '../../../../src/system/files/cache-directory.ts';

const REPO = path.resolve(import.meta.dirname, '../../../..');
const SOAP = 'http://www.w3.org/2003/05/soap-envelope';
const SHELL = 'http://schemas.microsoft.com/wbem/wsman/1/windows/shell';
const signal = AbortSignal.timeout(60_000);
let shell: ChildProcess;
let front: Server;
let client: WinrmClient;
const answered: number[] = [];

/**
 * TLS before it, which it has not. Its answers are abridged: they lack the Body that SOAP wants, and what MS-WSMV has around a
 * shell's id and a command's; those to Signal and Delete are empty. That is added here, and nothing else.
 */
async function forward(
  port: number,
  asked: IncomingMessage,
  answer: ServerResponse,
): Promise<void> {
  const body = await text(asked);
  const said = await fetch(`http://127.0.0.1:${port}/wsman`, { method: 'POST', body });
  answered.push(said.status);
  const inner = /<env:Envelope[^>]*>([\s\S]*)<\/env:Envelope>/.exec(await said.text())?.[1] ?? '';
  const around = /<rsp:(Shell|Command)Id>/.exec(inner)?.[1];
  const name = around === 'Command' ? 'CommandResponse' : around;
  const whole = name === undefined ? inner : `<rsp:${name}>${inner}</rsp:${name}>`;
  answer.writeHead(said.status, { 'content-type': 'application/soap+xml' });
  answer.end(
    `<env:Envelope xmlns:env="${SOAP}" xmlns:rsp="${SHELL}"><env:Body>${whole}</env:Body></env:Envelope>`,
  );
}

describe("a WinRM shell with Debian's winrmtest", () => {
  before(async () => {
    await promisify(execFile)('bash', ['tools/setup.sh', '--only', 'winrmtest'], { cwd: REPO });
    const program = path.join(cacheDirectory(), 'winrmtest/winrmtest');
    const started = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    shell = started;
    const [port] = (await once(createInterface({ input: started.stdout }), 'line')) as [string];
    const { cert, key } = await makeAuthority('localhost', { nowMs: Date.now(), days: 1 });
    front = createServer({ cert, key }, (asked, answer) => {
      void forward(Number(port), asked, answer);
    }).listen(0, '127.0.0.1');
    await once(front, 'listening');
    client = new WinrmClient({
      url: `https://localhost:${(front.address() as AddressInfo).port}/wsman`,
      fingerprint: new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase(),
      auth: 'basic',
      user: 'u',
      password: async () => 'p',
    });
  });
  after(async () => {
    client?.close();
    front?.close();
    shell?.kill();
    await once(shell, 'exit');
  });

  test('a shell runs a command, and reads its output and its exit code', async () => {
    const { code, stdout } = await client.run('say', [], signal);
    assert.equal(code, 7);
    assert.equal(Buffer.from(stdout).toString(), 'grüße <&> from winrmtest');
    // Create, Command, Receive, Signal and Delete: each was one that it knows.
    assert.deepEqual(answered.splice(0), [200, 200, 200, 200, 200]);
  });

  test('the name of a command is sent unchanged, whatever it contains', async () => {
    const { code } = await client.run(String.raw`C:\Program Files\a&b.exe`, [], signal);
    assert.equal(code, 0);
  });

  test('an unknown command is refused', async () => {
    await assert.rejects(client.run('other', [], signal), { code: 'GODWIT_UNREACHABLE' });
  });
});
