import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  accountOf,
  authenticate,
  freshMoment,
  negotiate,
  parseChallenge,
} from '../../../../src/drivers/hyperv/wsman/ntlm.ts';
import {
  bringPart,
  ntlmEnvironment,
  startAcceptor,
} from '../../../managers/hyperv/gss-acceptor.ts';

const USERS = 'DOMAIN:User:Password\nDOMAIN:Jürgen:Pässwört\n';
const HASH = 'ab'.repeat(32);
let root = '';
let dir = '';

interface Attempt {
  readonly user?: string;
  readonly password?: string;
  /** Of the certificate, as this side sees it and as the server does. */
  readonly seen?: string;
  readonly real?: string;
  readonly spoil?: (last: Buffer) => void;
}

/** One whole exchange; the acceptor's last word. */
async function exchange({
  user = String.raw`DOMAIN\User`,
  password = 'Password',
  seen,
  real,
  spoil,
}: Attempt): Promise<string> {
  const env = ntlmEnvironment(root, dir, USERS);
  const acceptor = startAcceptor(root, 'ntlm', { env, hash: real });
  try {
    const challenge = parseChallenge(Buffer.from(await acceptor.step(negotiate()), 'base64'));
    assert.ok(challenge);
    const hash = seen === undefined ? undefined : Buffer.from(seen, 'hex');
    const account = accountOf(user, password);
    const last = authenticate(account, challenge, hash, freshMoment(Date.now()));
    spoil?.(last);
    return await acceptor.step(last);
  } finally {
    acceptor.end();
  }
}

describe("NTLM with Debian's acceptor", () => {
  before(async () => {
    root = await bringPart('ntlm');
    dir = mkdtempSync(path.join(tmpdir(), 'godwit-ntlm-'));
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  test('a user with the password is admitted, and named', async () => {
    assert.match(await exchange({}), /^ok DOMAIN\\User/);
    assert.match(await exchange({ user: String.raw`DOMAIN\Jürgen`, password: 'Pässwört' }), /^ok/);
  });

  test('a wrong password and an unknown user are refused', async () => {
    assert.match(await exchange({ password: 'Passwort' }), /^error/);
    assert.match(await exchange({ user: String.raw`DOMAIN\Other` }), /^error/);
  });

  test('the login is bound to the certificate: another one on the way is refused', async () => {
    assert.match(await exchange({ seen: HASH, real: HASH }), /^ok/);
    assert.match(await exchange({ seen: 'cd'.repeat(32), real: HASH }), /^error/);
  });

  test('a message that was changed on its way is refused', async () => {
    // The version, of which nobody makes anything: only the integrity code covers it.
    const spoil = (last: Buffer): void => void last.writeUInt8(last.readUInt8(66) ^ 1, 66);
    assert.match(await exchange({ spoil }), /^error/);
  });
});
