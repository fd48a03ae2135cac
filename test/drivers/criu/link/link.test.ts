import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { connectTo, listenForSource } from '../../../../src/drivers/criu/link/link.ts';
import { godwitError, hasCode } from '../../../../src/errors.ts';
import { initCa, issue } from '../../../../src/pki/authority.ts';
import type { DestinationOptions, StreamSetup, StreamTls } from '../../../../src/port/direct.ts';
import type { Role } from '../../../../src/protocol/route.ts';
import type { Refuses } from '../../../../src/rpc/tls.ts';

const within = AbortSignal.timeout(60_000);
const refuses: Refuses = ({ name }) =>
  godwitError('GODWIT_CERT_REVOKED', { peer: name, date: '2026-11-30' });

/** Issues certificates of one CA, and lays them out as a host's files. */
async function authority(t: TestContext) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'godwit-criu-link-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const caDir = path.join(dir, 'ca');
  await initCa(caDir);
  let count = 0;
  return async (name: string, role: Role, peer: string, names: string[] = []) => {
    const addresses = ['127.0.0.1', ...names];
    const { ca, cert, key } = await issue({ caDir, name, role, addresses, days: 1 });
    const own = path.join(dir, `${(count += 1)}`);
    mkdirSync(own);
    const files = { caFile: 'ca.crt', certFile: 'host.crt', keyFile: 'host.key' };
    const at = (file: string): string => path.join(own, file);
    writeFileSync(at('ca.crt'), ca);
    writeFileSync(at('host.crt'), cert);
    writeFileSync(at('host.key'), key);
    const [caFile, certFile, keyFile] = Object.values(files).map(at) as [string, string, string];
    const credentials: StreamTls = { caFile, certFile, keyFile, directory: own, peer };
    return { credentials, shown: { ca, cert, key } };
  };
}

const setupWith = (credentials: StreamTls): StreamSetup =>
  ({ tls: true, credentials }) as unknown as StreamSetup;

async function listening(t: TestContext, credentials: StreamTls) {
  const taken: Duplex[] = [];
  const place = { host: 'b', listenHost: '127.0.0.1', ports: { from: 47_100, to: 47_900 } };
  const listener = await listenForSource(
    place as unknown as DestinationOptions,
    setupWith(credentials),
    (stream) => {
      stream.on('error', () => undefined);
      taken.push(stream);
      stream.write('taken');
    },
  );
  t.after(() => {
    listener.close();
    for (const each of taken) each.destroy();
  });
  return { address: listener.address, taken };
}

/** Whether the listener takes a connection with this certificate. */
async function isTaken(address: string, shown: { ca: string; cert: string; key: string }) {
  const port = Number(address.split(':').at(-1));
  const options = { ...shown, host: '127.0.0.1', port, servername: 'b' };
  const socket = tls.connect({ ...options, minVersion: 'TLSv1.3' });
  socket.on('error', () => undefined);
  const is = await Promise.race([
    once(socket, 'data').then(() => true),
    once(socket, 'close').then(() => false),
  ]);
  socket.destroy();
  return is;
}

test("the stream of a container is accepted from the source's host, and from no other role of its name", async (t) => {
  const give = await authority(t);
  const b = await give('b', 'agent', 'a');
  const { address, taken } = await listening(t, b.credentials);
  for (const [name, role, names] of [
    ['c', 'agent', []],
    ['a', 'viewer', []],
    ['a', 'operator', []],
    ['ctl', 'controller', ['a']],
    ['r', 'relay', ['a']],
  ] as [string, Role, string[]][]) {
    const other = await give(name, role, 'b', names);
    assert.equal(await isTaken(address, other.shown), false, `${role} ${name}`);
  }
  assert.equal(taken.length, 0);
  assert.equal(await isTaken(address, (await give('a', 'agent', 'b')).shown), true);
});

test("the stream of a container is not accepted from a host that the fleet's list refuses", async (t) => {
  const give = await authority(t);
  const b = await give('b', 'agent', 'a');
  const { address } = await listening(t, { ...b.credentials, refuses });
  assert.equal(await isTaken(address, (await give('a', 'agent', 'b')).shown), false);
});

test("a container is sent only to the destination's host, and not to one that the list refuses", async (t) => {
  const give = await authority(t);
  const a = (await give('a', 'agent', 'b')).credentials;
  const to = async (name: string, role: Role, from = a): Promise<Duplex> => {
    const { address } = await listening(t, (await give(name, role, 'a', ['b'])).credentials);
    const stream = await connectTo(address, 'b', setupWith(from), within);
    t.after(() => stream.destroy());
    return stream;
  };
  const [word] = (await once(await to('b', 'agent'), 'data')) as [Buffer];
  assert.equal(word.toString(), 'taken');
  await assert.rejects(to('b', 'agent', { ...a, refuses }), (error) =>
    hasCode(error, 'GODWIT_CERT_REVOKED'),
  );
  await assert.rejects(to('b', 'controller'), (error) => hasCode(error, 'GODWIT_ROLE_FORBIDDEN'));
  await assert.rejects(to('c', 'agent'), (error) => hasCode(error, 'GODWIT_PEER_UNTRUSTED'));
});
