import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { makeAuthority, makeRequest, signRequest } from '../../../src/pki/x509.ts';
import { VsphereClient } from '../../../src/drivers/vsphere/client.ts';
import { vsphereOptions } from '../../../src/drivers/vsphere/options.ts';

const DAY_MS = 86_400_000;
const OPEN_MS = 30_000;

interface CertificateCase {
  /** Days from now at which the certificate begins. */
  readonly beginsIn: number;
  readonly days: number;
  /** The CA that vouches for it is known. */
  readonly isKnown: boolean;
}

/** The error of whoever opens such a vCenter, and how many requests reached it. */
async function refusal({ beginsIn, days, isKnown }: CertificateCase): Promise<{
  error: { code?: string; message: string; hint?: string };
  requests: number;
}> {
  const nowMs = Date.now() + beginsIn * DAY_MS;
  const authority = await makeAuthority('vc', { nowMs, days });
  const { request, key } = await makeRequest('vc');
  const subject = { name: 'vc', role: 'agent', addresses: ['192.0.2.7'] } as const;
  const cert = await signRequest(authority, request, subject, { nowMs, days });
  let requests = 0;
  const server = createServer({ cert, key }, (_request, response) => {
    requests += 1;
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-vc-'));
  const [passwordFile, ca] = [path.join(dir, 'password'), path.join(dir, 'ca.crt')];
  writeFileSync(passwordFile, 'secret', { mode: 0o600 });
  writeFileSync(ca, authority.cert);
  const { port } = server.address() as AddressInfo;
  const url = `https://127.0.0.1:${port}`;
  const known = isKnown ? { ca } : {};
  const options = vsphereOptions.parse({ url, user: 'u', passwordFile, ...known });
  try {
    const opened = VsphereClient.open(options, AbortSignal.timeout(OPEN_MS));
    const error = await opened.then(
      () => assert.fail('it was opened'),
      (thrown: { code?: string; message: string; hint?: string }) => thrown,
    );
    return { error, requests };
  } finally {
    server.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

describe('a certificate of a vCenter', () => {
  const CASES: readonly (readonly [string, CertificateCase, RegExp])[] = [
    ['has expired', { beginsIn: -20, days: 10, isKnown: true }, /Renew the certificate/],
    ['is not valid yet', { beginsIn: 10, days: 10, isKnown: true }, /NTP/],
    ['has another name', { beginsIn: 0, days: 10, isKnown: true }, /a name of the certificate/],
    ['is of an unknown CA', { beginsIn: 0, days: 10, isKnown: false }, /Name its CA/],
  ];
  for (const [what, shown, hint] of CASES) {
    test(`a certificate that ${what} is refused with its fix, and nothing is sent over it`, async () => {
      const { error, requests } = await refusal(shown);
      assert.equal(error.code, 'GODWIT_UNREACHABLE', error.message);
      assert.match(error.hint ?? '', hint, error.message);
      assert.equal(requests, 0);
    });
  }
});
