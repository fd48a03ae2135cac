import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { decode, encode, headerOf } from '../../../src/disks/proof/iscsi/pdu.ts';
import { designatorsIn } from '../../../src/disks/proof/iscsi/lun.ts';
import {
  answerLun,
  fileOfLun,
  headOfLun,
  identityOfLun,
  sampleLun,
  stampOfLun,
  targetOf,
  targetsOf,
  type Target,
} from '../../../src/disks/proof/luns.ts';
import type { DeviceProof } from '../../../src/protocol/disk.ts';
import { MemoryTarget, type MemoryLun } from './iscsi/target.ts';

const NAME = 'iqn.2026-01.example:vm';
const KIB = 1024;
const ENDS = { from: 'a', to: 'b', migration: 'm-1', challenge: 'ab'.repeat(32) };
const soon = (): AbortSignal => AbortSignal.timeout(20_000);

const lun = (change: Partial<MemoryLun> = {}): MemoryLun => ({
  data: randomBytes(1024 * KIB),
  serial: 'S1',
  naa: '6001405aabbccddeeff0011223344556',
  ...change,
});

describe('targets', () => {
  const targets = targetsOf([
    { path: '/srv' },
    { iscsi: `iscsi://10.0.0.5/${NAME}`, initiator: 'iqn.2026-01.example:host-a' },
  ]);

  test('a target has the LUNs of its name, whatever portal the guest was started with', () => {
    const at = targetOf(targets, `iscsi://10.9.9.9:860/${NAME}/3`);
    assert.ok('found' in at);
    assert.deepEqual([at.found.pool.root, at.found.path], [`iscsi://10.0.0.5/${NAME}`, '3']);
    // The very portal that the guest's QEMU uses: another one may lead to another target of the same name.
    const opened = `iscsi://10.9.9.9:860/${NAME}/3?initiator=iqn.2026-01.example:host-a`;
    assert.equal(fileOfLun(at.found.pool, '3'), opened);
    assert.match(
      JSON.stringify(targetOf(targets, `iscsi://10.0.0.5/${NAME}x/3`)),
      /of none of the targets/,
    );
    assert.match(
      JSON.stringify(targetOf([], `iscsi://10.0.0.5/${NAME}/3`)),
      /names no iSCSI target/,
    );
  });
});

describe('LUNs', () => {
  let server: MemoryTarget;
  let pool: Target;

  beforeEach(async () => {
    server = new MemoryTarget(NAME);
    const port = await server.listen();
    const [made] = targetsOf([{ iscsi: `iscsi://127.0.0.1:${port}/${NAME}` }]);
    assert.ok(made !== undefined);
    pool = made;
    server.luns.set(1, lun());
  });
  afterEach(() => server.close());

  async function asked(change: Partial<DeviceProof> = {}): Promise<DeviceProof> {
    const { ids, bytes } = await identityOfLun(pool, '1', soon());
    const proof = { iscsi: { target: NAME, lun: 1 }, ids: [...ids], bytes };
    const samples = await sampleLun(pool, '1', { ...ENDS, device: proof }, soon());
    return { ...proof, samples: samples.map(({ sum }) => sum), ...change };
  }
  const answer = (proof: DeviceProof) =>
    answerLun([pool], { ...ENDS, asked: proof, iscsi: { target: NAME, lun: 1 } }, soon());

  test('a LUN is identified by its target, its own description and its size, not by its port', async () => {
    const reported = await identityOfLun(pool, '1', soon());
    assert.equal(reported.bytes, 1024 * KIB);
    assert.deepEqual(reported.ids, [
      `iscsi ${NAME}`,
      'designator 3 6001405aabbccddeeff0011223344556',
      'serial S1',
    ]);
    assert.equal(server.initiators[0], 'iqn.2008-11.org.linux-kvm');
    assert.equal(designatorsIn(Buffer.from([0, 0x83, 0, 9, 1, 3, 0, 200])).length, 0);
  });

  test("a LUN is reached by CHAP with the password in a file, with the target's choice of method", async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'godwit-chap-'));
    try {
      const passwordFile = path.join(dir, 'password');
      await writeFile(passwordFile, 'a long secret\n', { mode: 0o600 });
      const [mine] = targetsOf([{ iscsi: pool.root, user: 'host-b', passwordFile }]);
      assert.ok(mine !== undefined);
      const open = () => identityOfLun(mine, '1', soon());
      assert.equal((await open()).bytes, 1024 * KIB);
      for (const algorithm of ['5', '6', '7']) {
        server.account = { user: 'host-b', password: 'a long secret', algorithm };
        assert.equal((await open()).bytes, 1024 * KIB);
      }
      assert.deepEqual(server.offers.slice(0, 2), ['CHAP,None', '5,6,7']);
      server.account = { user: 'host-b', password: 'another', algorithm: '7' };
      await assert.rejects(open(), /wants a login/);
      await assert.rejects(identityOfLun(pool, '1', soon()), /wants a login/);
      server.account = { user: 'host-b', password: 'a long secret', algorithm: '9' };
      await assert.rejects(open(), /that was not offered/);
      server.account = { user: 'host-b', password: 'a long secret', algorithm: '5' };
      for (const wrong of [
        { CHAP_I: '256' },
        { CHAP_C: '0x5' },
        { CHAP_C: `0x${'00'.repeat(1025)}` },
      ]) {
        server.challenge = wrong;
        await assert.rejects(open(), /is malformed/);
      }
      await chmod(passwordFile, 0o644);
      await assert.rejects(open(), /others may read the password/);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  test("a LUN is the one behind the portal of the guest's QEMU if two targets have one name", async (t) => {
    const clone = new MemoryTarget(NAME);
    t.after(() => clone.close());
    clone.luns.set(1, lun({ serial: 'CLONE' }));
    const url = `iscsi://127.0.0.1:${await clone.listen()}/${NAME}/1`;
    const at = targetOf([pool], url);
    assert.ok('found' in at);
    const ids = (await identityOfLun(at.found.pool, '1', soon())).ids.join();
    assert.match(ids, /CLONE/);
    assert.notEqual(ids, (await identityOfLun(pool, '1', soon())).ids.join());
  });

  test('a LUN is read and never written, whatever its target reports meanwhile', async () => {
    server.pings = true;
    server.attentions = 3;
    const head = await headOfLun(
      [pool],
      `iscsi://127.0.0.1:${pool.place.port}/${NAME}/1`,
      4096,
      soon(),
    );
    assert.deepEqual(head, server.luns.get(1)?.data.subarray(0, 4096));
    await asked();
    const readers = [0x12, 0x9e, 0x88, 0x5e];
    assert.ok(server.commands.every((opcode) => readers.includes(opcode)));
  });

  test('a LUN is shared if both hosts read the same; the id of its place names the LUN', async () => {
    const proof = await asked();
    const first = await answer({ ids: proof.ids, bytes: proof.bytes });
    assert.deepEqual(first, { challenge: ENDS.challenge });
    const { samples, ...second } = await answer(proof);
    assert.equal(second.pool, pool.id);
    assert.equal(second.path, '1');
    assert.deepEqual(samples, proof.samples);
    assert.equal(second.stamp, await stampOfLun(pool, '1', soon()));
    server.luns.set(1, lun({ naa: '6001405000000000' }));
    assert.notEqual(second.stamp, await stampOfLun(pool, '1', soon()));
  });

  test('a LUN is not shared if it is smaller, another one, empty, or has other content', async () => {
    const proof = await asked();
    const { data } = server.luns.get(1) ?? lun();
    const report = async (change: Partial<MemoryLun>): Promise<string> => {
      server.luns.set(1, lun({ data, ...change }));
      return (await answer(proof)).problem ?? 'shared';
    };
    assert.match(await report({ data: data.subarray(0, 512 * KIB) }), /another size/);
    assert.match(await report({ naa: '6001405000000000' }), /is another one there/);
    assert.match(await report({ serial: 'S2' }), /is another one there/);
    assert.match(await report({ data: randomBytes(data.length) }), /holds something else/);
    assert.equal(await report({}), 'shared');
    server.luns.clear();
    assert.match((await answer(proof)).problem ?? '', /sense 5\/2500/);
    server.luns.set(1, lun({ data: Buffer.alloc(1024 * KIB) }));
    assert.match((await answer(await asked())).problem ?? '', /too little of it holds data/);
    const other = await answerLun(
      [pool],
      { ...ENDS, asked: proof, iscsi: { target: `${NAME}x`, lun: 1 } },
      soon(),
    );
    assert.deepEqual(other, {});
  });

  test('a LUN is refused if another initiator has reserved it, or its target does not admit this host', async () => {
    const proof = await asked();
    server.luns.set(1, lun({ reserved: 5 }));
    assert.match(
      (await answer(proof)).problem ?? '',
      /persistent reservation of it \(write exclusive, registrants only\)/,
    );
    server.luns.set(1, lun());
    for (const [status, said] of [
      [0x0201, /wants a login \(CHAP\)/],
      [0x0202, /does not let this initiator in/],
      [0x0300, /status 0x0300/],
    ] as const) {
      server.loginStatus = status;
      assert.match((await answer(proof)).problem ?? '', said);
    }
  });

  test('a LUN is found if its portal redirects, and redirects are limited', async () => {
    const front = new MemoryTarget(NAME);
    const port = await front.listen();
    const [redirected] = targetsOf([{ iscsi: `iscsi://127.0.0.1:${port}/${NAME}` }]);
    assert.ok(redirected !== undefined);
    front.elsewhere = `127.0.0.1:${pool.place.port}`;
    assert.equal((await identityOfLun(redirected, '1', soon())).bytes, 1024 * KIB);
    front.elsewhere = `127.0.0.1:${port}`;
    await assert.rejects(identityOfLun(redirected, '1', soon()), /send one to each other/);
    await front.close();
  });

  test('a LUN is given up if its target no longer answers', async () => {
    server.frozen = true;
    const cut = new AbortController();
    const asking = identityOfLun(pool, '1', cut.signal);
    cut.abort(new Error('enough'));
    await assert.rejects(asking, /enough/);
  });
});

test('a message of iSCSI is the same after it was sent and read, however it arrives', () => {
  const some = fc.record({
    data: fc.uint8Array({ maxLength: 300 }),
    cut: fc.nat(400),
    tag: fc.nat(),
  });
  fc.assert(
    fc.property(some, ({ data, cut, tag }) => {
      const sent = encode(headerOf(0x25, 0x81, tag), Buffer.from(data));
      assert.equal(sent.length % 4, 0);
      const part = sent.subarray(0, Math.min(cut, sent.length - 1));
      assert.equal(decode(part), undefined);
      const found = decode(Buffer.concat([sent, Buffer.from('rest')]));
      assert.deepEqual(found?.pdu.data, Buffer.from(data));
      assert.equal(found?.pdu.header.readUInt32BE(16), tag);
      assert.equal(found?.rest.toString(), 'rest');
    }),
  );
  const huge = headerOf(0x25, 0, 1);
  huge.writeUIntBE(0xff_ffff, 5, 3);
  assert.throws(() => decode(huge), /in one piece/);
});
