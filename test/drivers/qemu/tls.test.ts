import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { layOutCredentials, validAuthorities } from '../../../src/drivers/qemu/tls.ts';
import { storeCredentials } from '../../../src/pki/authority.ts';
import { makeAuthority } from '../../../src/pki/x509.ts';
import { parseBundle } from '../../../src/rpc/trust-bundle.ts';
import { authority, tempDir } from '../../rpc/test-contract.ts';

test('QEMU gets all CAs of a bundle except those that have expired, which it would refuse as a whole', async (t) => {
  const { issue } = await authority(t);
  const issued = await issue('a', 'agent');
  const nowMs = Date.now();
  const make = async (name: string, days: number) =>
    (await makeAuthority(name, { nowMs: nowMs - 10 * 86_400_000, days })).cert;
  const [expired, other] = [await make('old', 1), await make('new', 100)];
  const pki = tempDir(t);
  storeCredentials(pki, { ...issued, ca: `${expired}${issued.ca}${other}` });
  const directory = tempDir(t);
  const laid = await layOutCredentials(
    {
      caFile: path.join(pki, 'ca.crt'),
      certFile: path.join(pki, 'host.crt'),
      keyFile: path.join(pki, 'host.key'),
      directory,
      peer: 'b',
      refuses: () => undefined,
    },
    'client',
  );
  const text = readFileSync(path.join(laid, 'ca-cert.pem'), 'utf8');
  assert.deepEqual(
    parseBundle(text).map(({ pem }) => pem),
    [issued.ca, other].map((pem) => `${pem.trim()}\n`),
  );
  // Without a valid one QEMU gives the reason itself.
  assert.equal(validAuthorities(expired, 'ca.crt', nowMs), `${expired.trim()}\n`);
});
