import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { issue } from '../../../src/pki/authority.ts';
import {
  changeList,
  heldBy,
  latestList,
  withoutName,
  withoutSerial,
} from '../../../src/pki/fleet-list.ts';
import { Holders } from '../../../src/agent/pki/holders.ts';
import { endReplaced, isLast, renewCertificate, replacesOthers } from '../../../src/pki/issued.ts';
import { makeRequest } from '../../../src/pki/x509.ts';
import { plainLog } from '../../../src/log.ts';
import { plainSerial, revokedSince } from '../../../src/protocol/peer/fleet.ts';
import { authority } from '../../rpc/test-contract.ts';

const DAY_MS = 86_400_000;

/** A CA and a host b with a certificate, of which it and a thief have the key. */
async function scene(t: TestContext) {
  const { caDir } = await authority(t);
  const nowMs = Date.now() + 21 * DAY_MS;
  changeList(caDir, heldBy({ name: 'a', address: '10.0.0.1:1', addresses: [] }), Date.now());
  const { cert } = await issue({ caDir, name: 'b', role: 'agent', addresses: [], days: 30 });
  const first = new X509Certificate(cert);
  const state = { there: first as X509Certificate | undefined, monotonicMs: 0, lines: [''] };
  const holders = new Holders({
    clock: { monotonicMs: () => state.monotonicMs, wallMs: () => nowMs } as never,
    log: plainLog((line) => state.lines.push(line)),
    certificateAt: () =>
      state.there === undefined
        ? Promise.reject(new Error('no answer'))
        : Promise.resolve(state.there),
    renewed: (shown) => replacesOthers(caDir, shown)?.name,
    end: (shown) => void endReplaced(caDir, shown, nowMs),
  });
  const renew = async (shown: X509Certificate): Promise<X509Certificate> => {
    const { request } = await makeRequest('b');
    const { certificate = '' } = await renewCertificate(caDir, shown, request, nowMs);
    return new X509Certificate(certificate);
  };
  const counts = ({ serialNumber: serial, validFromDate }: X509Certificate): boolean => {
    const shown = {
      name: 'b',
      role: 'agent',
      serial,
      validFromMs: validFromDate.getTime(),
    } as const;
    return revokedSince(latestList(caDir)!.list, shown) === undefined;
  };
  /** Shown every 10 s, as agents ask for lists, for so long. */
  const showFor = async (shown: X509Certificate, forMs: number): Promise<void> => {
    for (const untilMs = state.monotonicMs + forMs; state.monotonicMs <= untilMs;) {
      await holders.saw(shown);
      state.monotonicMs += 10_000;
    }
  };
  return { caDir, nowMs, first, state, holders, renew, counts, showFor };
}

test('a host that presents its renewed certificate itself ends the previous one at once', async (t) => {
  const { first, state, holders, renew, counts } = await scene(t);
  const next = await renew(first);
  state.there = next;
  await holders.saw(next);
  assert.deepEqual([counts(first), counts(next)], [false, true]);
  assert.deepEqual(holders.two, []);
});

test('a thief who renews a stolen certificate does not lock the host out, and is reported', async (t) => {
  const { caDir, nowMs, first, state, holders, renew, counts, showFor } = await scene(t);
  const stolen = await renew(first);
  await showFor(stolen, 25_000);
  assert.equal(holders.two.length, 0);
  await showFor(stolen, 3_600_000);
  assert.deepEqual([counts(first), counts(stolen)], [true, true]);
  const [reported, ...more] = holders.two;
  assert.deepEqual(more, []);
  assert.equal(reported?.name, 'b');
  assert.equal(reported?.serial, plainSerial(stolen.serialNumber));
  assert.equal(reported?.shownByHost, plainSerial(first.serialNumber));
  assert.equal(state.lines.filter((line) => /another host uses/.test(line)).length, 1);
  // The thief’s alone is revoked: whoever shows the one before first renews it, here the host.
  await assert.rejects(renew(first), { code: 'GODWIT_CERT_SUPERSEDED' });
  changeList(caDir, withoutSerial(stolen.serialNumber), nowMs);
  holders.settled(({ name, serial }) => isLast(caDir, name, serial));
  assert.deepEqual(holders.two, []);
  await assert.rejects(renew(stolen), { code: 'GODWIT_CERT_REVOKED' });
  const next = await renew(first);
  state.there = next;
  await holders.saw(next);
  assert.deepEqual([counts(first), counts(stolen), counts(next)], [false, false, true]);
});

test("the revocation of a thief's certificate does not end the host's own; a revoked name does", async (t) => {
  const { caDir, nowMs, first, renew, counts } = await scene(t);
  const stolen = await renew(first);
  changeList(caDir, withoutSerial(stolen.serialNumber), nowMs);
  const again = await renew(first);
  assert.deepEqual([counts(stolen), counts(again)], [false, true]);
  await assert.rejects(renew(first), { code: 'GODWIT_CERT_SUPERSEDED' });
  changeList(caDir, withoutName('b'), nowMs + DAY_MS);
  assert.deepEqual([counts(first), counts(again)], [false, false]);
  await assert.rejects(renew(again), { code: 'GODWIT_CERT_REVOKED' });
});

test('a host that takes its renewed certificate into use late is not reported', async (t) => {
  const { first, state, holders, renew, counts, showFor } = await scene(t);
  const next = await renew(first);
  await showFor(next, 15_000);
  state.there = next;
  await showFor(next, 60_000);
  assert.deepEqual([counts(first), holders.two], [false, []]);
});

test('a host that is not reached keeps both certificates, and no conclusion is drawn', async (t) => {
  const { first, state, holders, renew, counts, showFor } = await scene(t);
  const next = await renew(first);
  state.there = undefined;
  await showFor(next, 600_000);
  assert.deepEqual([counts(first), counts(next), holders.two], [true, true, []]);
});
