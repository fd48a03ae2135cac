import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { LibvirtClient } from '../../../../src/drivers/libvirt/client.ts';
import { logIn } from '../../../../src/drivers/libvirt/rpc/login.ts';
import { toGodwitError } from '../../../../src/errors.ts';
import { XdrReader, XdrWriter } from '../../../../src/formats/xdr.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { fakeDaemon, type Answers } from '../support/fake-daemon.ts';

const [SASL, POLKIT] = [1, 2];
const AUTH_FAILED = 45;
const PASSWORD = 'a secret';

/** Opens a daemon of this kind with a file that has this password for it; resolves to its URI's socket once it is open. */
async function open(t: TestContext, answers: Answers, password?: string): Promise<void> {
  const auth = path.join(tempDir(t), 'auth.conf');
  if (password !== undefined) {
    const words = `[credentials-x]\nauthname=godwit\npassword=${password}\n`;
    writeFileSync(auth, `${words}[auth-libvirt-localhost]\ncredentials=x\n`);
  }
  const socket = await fakeDaemon(t, { 1: () => new XdrWriter(), ...answers });
  const credentials = { ca: '/none', cert: '/none', key: '/none', auth };
  const uri = `qemu+unix:///system?socket=${socket}`;
  const client = await LibvirtClient.open(uri, credentials, AbortSignal.timeout(20_000));
  client.close();
}

const wants = (...types: readonly number[]) => new XdrWriter().uint32(types.length, ...types);
const offers = (names: string): Answers => ({
  66: () => wants(SASL),
  67: () => new XdrWriter().string(names),
});

/** As libvirt has it: an array of characters, a word each. */
function textOf(asked: XdrReader): string {
  asked.int32();
  return Buffer.from(asked.list(65_536, () => asked.int32())).toString();
}

function says(isOver: boolean, text: string): XdrWriter {
  const bytes = Buffer.from(text);
  return new XdrWriter()
    .int32(isOver ? 1 : 0)
    .int32(0)
    .uint32(bytes.length, ...bytes);
}

/** A server of SCRAM-SHA-256 that knows the password. `lies`: it does not, and takes everybody. */
function scram(lies = false): Answers {
  const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  let [first, challenge] = ['', ''];
  return {
    ...offers('GSSAPI,PLAIN,SCRAM-SHA-256'),
    68: (asked) => {
      assert.equal(asked.string(64), 'SCRAM-SHA-256');
      first = textOf(asked).slice('n,,'.length);
      assert.match(first, /^n=godwit,r=/);
      challenge = `r=${first.split(',r=')[1]}more,s=c2FsdA==,i=4096`;
      return says(false, challenge);
    },
    69: (asked) => {
      const text = textOf(asked);
      // A server may want to be heard before it says that it is over.
      if (text === '') return says(true, '');
      const [unproved = '', proof = ''] = text.split(',p=');
      const salted = pbkdf2Sync(PASSWORD, 'salt', 4096, 32, 'sha256');
      const all = `${first},${challenge},${unproved}`;
      const key = hmac(salted, 'Client Key');
      const signed = hmac(createHash('sha256').update(key).digest(), all);
      const right = Buffer.from(key.map((byte, at) => byte ^ (signed[at] ?? 0))).toString('base64');
      if (!lies && proof !== right) return AUTH_FAILED;
      const own = lies ? Buffer.alloc(32) : hmac(hmac(salted, 'Server Key'), all);
      return says(false, `v=${own.toString('base64')}\0`);
    },
  };
}

function plain(): Answers {
  return {
    ...offers('LOGIN,PLAIN'),
    68: (asked) => {
      assert.equal(asked.string(64), 'PLAIN');
      return textOf(asked) === `\0godwit\0${PASSWORD}` ? says(true, '') : AUTH_FAILED;
    },
  };
}

async function deniedWith(opening: Promise<void>, message: RegExp, hint: RegExp): Promise<void> {
  await assert.rejects(opening, (thrown) => {
    const error = toGodwitError(thrown);
    assert.equal(error.code, 'GODWIT_MANAGER_DENIED');
    assert.match(error.message, message);
    assert.ok(!error.message.includes(PASSWORD));
    assert.match(error.hint, hint);
    return true;
  });
}

describe('logins to a daemon', () => {
  test("a daemon with SASL gets the user and password of libvirt's own file", async (t) => {
    await open(t, scram(), PASSWORD);
    await open(t, plain(), PASSWORD);
  });

  test('a SASL login that the daemon rejects is reported with the file', async (t) => {
    for (const daemon of [scram, plain]) {
      const opening = open(t, daemon(), 'another');
      await deniedWith(opening, /does not take godwit of \/.*auth\.conf by /, /credentials-NAME/);
    }
    await deniedWith(open(t, plain()), /auth\.conf has no user for localhost/, /auth-libvirt-HOST/);
  });

  test('a daemon that does not know the password itself is not trusted', async (t) => {
    await deniedWith(open(t, scram(true), PASSWORD), /does not know the password itself/, /./);
  });

  test('an unsupported SASL mechanism is reported with the supported ones', async (t) => {
    const opening = open(t, offers('GSSAPI,DIGEST-MD5'), PASSWORD);
    await deniedWith(opening, /GSSAPI,DIGEST-MD5/, /SCRAM-SHA-256.*mech_list/);
    await deniedWith(open(t, { 66: () => wants(7) }, PASSWORD), /of the kinds 7/, /./);
  });

  test('a daemon with SASL over plain TCP gets no password', async () => {
    const asked: number[] = [];
    const ask = (procedure: number): Promise<XdrReader> => {
      asked.push(procedure);
      return Promise.resolve(new XdrReader(wants(SASL).bytes()));
    };
    const login = logIn(ask, 'qemu+tcp://b/system', undefined);
    await deniedWith(login, /without TLS/, /qemu\+tls/);
    assert.deepEqual(asked, [66]);
  });

  test('a daemon with polkit is asked once, and its refusal names the action that a rule must allow', async (t) => {
    await open(t, { 66: () => wants(POLKIT), 70: () => new XdrWriter().int32(1) });
    const refused = open(t, { 66: () => wants(POLKIT), 70: () => AUTH_FAILED });
    await deniedWith(refused, /polkit does not allow it/, /org\.libvirt\.unix\.manage/);
  });
});
