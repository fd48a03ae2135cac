import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GuestProbes } from '../../../src/agent/host/probes.ts';
import { godwitError } from '../../../src/errors.ts';
import type { Later } from '../../../src/protocol/public/probe.ts';
import type { AdmittedGuest, WatchOrder } from '../../../src/protocol/peer/probe.ts';
import { A, B, MAC, nic, order, said, stage } from '../probe-stage.ts';

describe('probes for other hosts', () => {
  test('an agent begins a watch once, and a second request leaves it running', async () => {
    const { probes, started, reported } = stage();
    assert.deepEqual(await probes.watch(order('m-11111111'), A), { watching: true, wallMs: 5 });
    assert.deepEqual(await probes.watch(order('m-11111111'), A), { watching: true, wallMs: 5 });
    assert.equal(started.length, 1);
    await new Promise(setImmediate);
    assert.deepEqual(reported, ['stay 20000']);
    assert.deepEqual(await probes.end('m-11111111', {}, A), { notTried: 'ended a/m-11111111' });
  });

  test("a guest that its manager moves is watched only at its own configuration's addresses", async () => {
    const managed = (given: Partial<WatchOrder> = {}) =>
      order('m-11111111', { managed: true, nics: [], leastIntervalMs: 50, ...given });
    const { probes, started, asked } = stage({ probe: { addresses: { web1: ['10.9.0.7'] } } });
    assert.deepEqual(await probes.watch(managed(), A), { watching: true, wallMs: 5 });
    const [line] = started;
    assert.deepEqual([line?.nics, line?.addresses, line?.leastIntervalMs], [[], ['10.9.0.7'], 50]);
    // Nobody has admitted it, and nobody is asked.
    assert.deepEqual(asked, []);
    const unnamed = stage();
    const { watching, why } = await unnamed.probes.watch(managed(), A);
    assert.equal(watching, false);
    assert.match(why ?? '', /^no address of the guest is named/);
    const strange = stage({ probe: { addresses: { web1: ['10.9.0.7'] } } });
    await assert.rejects(strange.probes.watch(managed({ nics: [nic(MAC, '10.9.0.8')] }), A), {
      code: 'GODWIT_PROTOCOL_INVALID',
    });
    const host = stage({ probe: { addresses: { web1: ['10.0.0.4'] } } });
    await assert.rejects(host.probes.watch(managed(), A), /a host’s own address/);
    assert.deepEqual(
      [unnamed, strange, host].flatMap((each) => each.started),
      [],
    );
  });

  test('a second caller gets the result again, and a finished watch does not begin again', async () => {
    const { probes, started } = stage();
    await probes.watch(order('m-11111111'), A);
    const first = await probes.end('m-11111111', {}, A);
    assert.deepEqual(await probes.end('m-11111111', {}, A), first);
    await probes.watch(order('m-11111111'), A);
    assert.equal(started.length, 1);
  });

  test('the watches of two hosts are kept apart, whatever ids they name', async () => {
    const { probes, started } = stage();
    await probes.watch(order('m-11111111'), A);
    assert.match(
      (await probes.end('m-11111111', {}, B)).notTried ?? '',
      /nothing was being watched/,
    );
    await assert.rejects(probes.watch(order('m-11111111'), B), {
      code: 'GODWIT_PROTOCOL_INVALID',
    });
    await probes.watch(order('m-b1111111'), B);
    assert.deepEqual(
      started.map(({ owner }) => owner),
      ['a/m-11111111', 'b/m-b1111111'],
    );
  });

  test('at most six guests are watched for one host and eight in all, and an ended watch frees its place', async () => {
    const { probes, ends } = stage();
    const ask = (at: number) => probes.watch(order(`m-1111111${at}`), A);
    const askB = (at: number) => probes.watch(order(`m-b111111${at}`), B);
    for (let at = 0; at < 6; at += 1) assert.equal((await ask(at)).watching, true);
    assert.deepEqual(await ask(6), { watching: false, why: 'c watches 6 guests for a already' });
    for (let at = 0; at < 2; at += 1) assert.equal((await askB(at)).watching, true);
    assert.deepEqual(await askB(2), { watching: false, why: 'c watches 8 guests already' });
    ends[0]?.();
    await new Promise(setImmediate);
    assert.equal((await ask(6)).watching, true);
    // What it came to is not forgotten, and it is not begun again.
    assert.deepEqual(await ask(0), { watching: true, wallMs: 5 });
    assert.deepEqual(await probes.end('m-11111110', {}, A), { notTried: 'it ended by itself' });
  });

  test('the result for one host is kept, however many watches another host has', async () => {
    const { probes } = stage();
    await probes.watch(order('m-b1111111'), B);
    const first = await probes.end('m-b1111111', {}, B);
    for (let at = 10; at < 99; at += 1) {
      await probes.watch(order(`m-111111${at}`), A);
      await probes.end(`m-111111${at}`, {}, A);
    }
    assert.deepEqual(await probes.end('m-b1111111', {}, B), first);
    const { notTried } = await probes.end('m-11111110', {}, A);
    assert.match(notTried ?? '', /nothing was being watched/);
  });

  test("an address that the destination has not named as the guest's is not probed", async () => {
    const { probes, started, asked } = stage();
    const wrong: [Partial<WatchOrder>, RegExp][] = [
      [{ to: undefined }, /it names no destination/],
      [{ guest: 'web2' }, /m-11111111 moves web1/],
      [{ nics: [nic(MAC, '10.9.0.6')] }, /10\.9\.0\.6 is not an address of/],
      [{ nics: [nic(MAC, '169.254.169.254')] }, /169\.254\.169\.254 is not an address of/],
      [{ nics: [nic('52:54:00:00:00:02', '10.9.0.5')] }, /it has no NIC 52:54:00:00:00:02/],
    ];
    for (const [given, what] of wrong) {
      await assert.rejects(probes.watch(order('m-11111111', given), A), {
        code: 'GODWIT_PROTOCOL_INVALID',
        message: what,
        hint: /network\.probe\.addresses/,
      });
    }
    assert.deepEqual(started, []);
    assert.equal(asked.length, 4, 'an order without a destination is asked of nobody');
    // The same address, written in another way.
    const nics = [nic(MAC, 'fd00:0::0:5')];
    assert.equal((await probes.watch(order('m-11111111', { nics }), A)).watching, true);
  });

  test("a host's own address is never probed, even if a caller names it as a guest's address", async () => {
    for (const address of ['10.0.0.3', '10.0.0.4']) {
      const nics = [{ mac: MAC, addresses: [address] }];
      const { probes, started } = stage({}, (id) => ({ ...said(id), nics }));
      const asked = probes.watch(order('m-11111111', { nics: [nic(MAC, address)] }), A);
      await assert.rejects(asked, { message: /is a host’s own address/ });
      assert.deepEqual(started, []);
    }
  });

  test("addresses that the agent's own configuration gives the guest are probed", async () => {
    const { probes, started } = stage({ probe: { addresses: { web1: ['10.9.0.7'] } } });
    const nics = [nic(MAC, '10.9.0.7')];
    assert.equal((await probes.watch(order('m-11111111', { nics }), A)).watching, true);
    assert.equal(started.length, 1);
  });

  test('a watch needs the addresses at the destination, and continues only while the destination agrees', async () => {
    let says: AdmittedGuest | Error = { guest: 'web1', from: 'a' };
    const { probes, started, reported } = stage({}, () => {
      if (says instanceof Error) throw says;
      return says;
    });
    const ask = () => probes.watch(order('m-11111111'), A);
    assert.deepEqual(await ask(), { watching: false, why: 'd has not heard of its addresses yet' });
    says = said('m-11111111');
    assert.equal((await ask()).watching, true);
    says = godwitError('GODWIT_MIGRATION_UNKNOWN', { id: 'm-11111111', host: 'd' });
    assert.equal((await ask()).watching, true, 'what was seen is still to be had');
    await new Promise(setImmediate);
    assert.deepEqual(reported, [], 'its lease was not made longer');
    await assert.rejects(probes.watch(order('m-22222222'), A), {
      code: 'GODWIT_MIGRATION_UNKNOWN',
    });
    assert.equal(started.length, 1);
  });

  describe('after the migration', () => {
    const later: Later = { sent: 9, answered: 8, gapMs: 3, forMs: 900, complete: false };
    const go = async (
      probes: GuestProbes,
      id: string,
      given: Partial<WatchOrder> = {},
      caller = A,
    ) => {
      await probes.watch(order(id, given), caller);
      return probes.end(id, { laterMs: 600_000 }, caller);
    };
    const named = (id: string): AdmittedGuest => ({ ...said(id), guest: `web${id.at(-1)}` });

    test('probes continue if that was requested, and the agent reports the result so far', async () => {
      const { probes, ends } = stage({}, said, later);
      assert.deepEqual(await go(probes, 'm-11111111'), { goesOnMs: 600_000 });
      assert.deepEqual(probes.later('m-11111111', A), { later });
      assert.match(probes.later('m-11111111', B).why ?? '', /^c knows nothing of it/);
      ends[0]?.();
      await new Promise(setImmediate);
      const ended = 'its process on c ended';
      assert.deepEqual(probes.later('m-11111111', A), { later: { ...later, ended } });
    });

    test('the result is kept to the end and is marked complete', async () => {
      const { probes, ends } = stage({}, said, { ...later, complete: true });
      await go(probes, 'm-11111111');
      ends[0]?.();
      await new Promise(setImmediate);
      assert.deepEqual(probes.later('m-11111111', A), { later: { ...later, complete: true } });
    });

    test('four guests are probed at once, three from one host, without using the slots of moving guests', async () => {
      const { probes, ends } = stage({}, named, later);
      const at = (n: number) => go(probes, `m-1111111${n}`, { guest: `web${n}` });
      const ofB = (n: number) => go(probes, `m-b111111${n}`, { guest: `web${n}` }, B);
      for (let n = 0; n < 3; n += 1) assert.equal((await at(n)).goesOnMs, 600_000);
      const full = await at(4);
      assert.equal(full.goesNot, 'c probes 3 guests for a after their migrations already');
      assert.equal(full.goesOnMs, undefined);
      assert.equal((await ofB(3)).goesOnMs, 600_000);
      assert.equal((await ofB(4)).goesNot, 'c probes 4 guests after their migrations already');
      ends[1]?.();
      await new Promise(setImmediate);
      assert.equal((await at(5)).goesOnMs, 600_000);
      for (const n of [6, 7, 8, 9]) {
        const given = { guest: `web${n}` };
        assert.equal((await probes.watch(order(`m-1111111${n}`, given), A)).watching, true);
      }
    });

    test('the probes end when the guest is moved again', async () => {
      const { probes, ends, reported } = stage({}, said, later);
      await go(probes, 'm-11111111', { to: 'b' });
      await probes.watch(order('m-b1111111'), B);
      assert.deepEqual(reported, ['stop a/m-11111111']);
      ends[0]?.();
      await new Promise(setImmediate);
      const ended = 'it was moved again';
      assert.deepEqual(probes.later('m-11111111', A), { later: { ...later, ended } });
    });

    test('the probes end when the source withdraws them because the migration failed', async () => {
      const { probes, reported } = stage({}, said, later);
      await go(probes, 'm-11111111');
      assert.deepEqual(await probes.end('m-11111111', {}, A), { goesOnMs: 600_000 });
      assert.deepEqual(reported, ['stop a/m-11111111']);
    });

    test('the probes end when the guest arrives here, once it is admitted', async () => {
      const { probes, reported } = stage({}, said, later);
      await go(probes, 'm-11111111');
      const { guest, to: from = '' } = order('m-11111111');
      const came = { guest, from };
      await assert.rejects(probes.comesHere(came, Promise.reject(new Error('refused'))));
      await probes.comesHere({ guest, from: 'evil' }, Promise.resolve());
      assert.deepEqual(reported, []);
      await probes.comesHere(came, Promise.resolve());
      assert.deepEqual(reported, ['stop a/m-11111111']);
    });

    test('a guest that is not there to be probed takes no slot', async () => {
      const { probes } = stage({}, named);
      for (let n = 0; n < 6; n += 1) {
        const { notTried } = await go(probes, `m-1111111${n}`, { guest: `web${n}` });
        assert.equal(notTried, `ended a/m-1111111${n}`);
      }
    });
  });

  test('an agent that ends releases every watch', async () => {
    const { probes, reported } = stage();
    await probes.watch(order('m-11111111'), A);
    await probes.watch(order('m-b1111111'), B);
    probes.close();
    assert.deepEqual(reported, ['stop a/m-11111111', 'stop b/m-b1111111']);
  });

  test('an agent that is configured so watches for no other host', async () => {
    const { probes, started } = stage({ probe: 'off' });
    const { watching, why } = await probes.watch(order('m-11111111'), A);
    assert.equal(watching, false);
    assert.match(why ?? '', /as it is configured/);
    assert.equal(started.length, 0);
  });
});
