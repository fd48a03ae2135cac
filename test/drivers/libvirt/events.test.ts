import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { LibvirtClient, type Domain } from '../../../src/drivers/libvirt/client.ts';
import { DomainEvents } from '../../../src/drivers/libvirt/events.ts';
import { libvirtOptions } from '../../../src/drivers/libvirt/options.ts';
import { XdrWriter } from '../../../src/formats/xdr.ts';
import { fakeDaemon, type Answers, type Speak } from './support/fake-daemon.ts';

const LIVES = new AbortController().signal;
/** Longer than the test takes: what resolves has heard something. */
const LONG_MS = 600_000;
const WEB: Domain = { name: 'web1', uuid: '00000000-0000-4000-8000-000000000001', id: 3 };
const OTHER: Domain = { ...WEB, uuid: '00000000-0000-4000-8000-000000000002' };
const NO_SUPPORT = 3;
const ITERATION = 359;
const JOB_COMPLETED = 363;
/** A medium, a device that is gone, a job on a disk, a device that came. */
const CHANGES = [328, 333, 339, 354];

function about({ name, uuid, id }: Domain): XdrWriter {
  return new XdrWriter().int32(1).string(name).uuid(uuid).int32(id);
}

/** A client of a daemon that has the events of these numbers. */
async function opened(t: TestContext, has: readonly number[]) {
  const asked: number[] = [];
  const speaks: Speak[] = [];
  const answers: Answers = {
    66: () => new XdrWriter().uint32(0),
    1: () => new XdrWriter(),
    316: (question) => {
      const event = question.int32();
      asked.push(event);
      return has.includes(event) ? new XdrWriter().int32(asked.length) : NO_SUPPORT;
    },
  };
  const socket = await fakeDaemon(t, answers, (speak) => speaks.push(speak));
  const { credentials } = libvirtOptions.parse({});
  const uri = `qemu+unix:///system?socket=${socket}`;
  const client = await LibvirtClient.open(uri, credentials, LIVES);
  t.after(() => client.close());
  const events = await DomainEvents.open(client, WEB, LIVES);
  const [speak] = speaks;
  assert.ok(speak !== undefined);
  return { client, events, asked, speak };
}

describe("libvirt's events", () => {
  test('an event wakes its waiter, even if it came before the waiting', async (t) => {
    const all = [0, 20, 21, 10, 15, 16, 19];
    const { events, asked, speak } = await opened(t, all);
    assert.deepEqual(asked, all);
    assert.ok(events !== undefined);
    events.looked();
    const waiting = events.changed(LONG_MS, LIVES);
    speak.say(ITERATION, about(WEB).int32(1));
    await waiting;
    await events.changed(LONG_MS, LIVES);
    events.looked();
    assert.equal(await events.changed(1, LIVES), false);
    for (const change of CHANGES) {
      events.looked();
      speak.say(change, about(WEB).string('disk0'));
      assert.equal(await events.changed(LONG_MS, LIVES), true);
    }
  });

  test('an event has the figures of the ended job, and of no other domain', async (t) => {
    const { events, speak } = await opened(t, [0, 20, 21]);
    assert.ok(events !== undefined);
    const figures = (domain: Domain, downtime: number): XdrWriter =>
      about(domain).uint32(1).string('downtime').int32(4).uint64(downtime);
    events.looked();
    speak.say(JOB_COMPLETED, figures(OTHER, 1));
    speak.say(JOB_COMPLETED, figures(WEB, 46));
    await events.changed(LONG_MS, LIVES);
    assert.deepEqual(events.completed, { type: 3, params: { downtime: 46 } });
  });

  test('the wait ends if the connection ends or the message is not an event', async (t) => {
    const ended = await opened(t, [0]);
    ended.events?.looked();
    ended.speak.end();
    await ended.events?.changed(LONG_MS, LIVES);
    const garbled = await opened(t, [0]);
    garbled.events?.looked();
    garbled.speak.say(ITERATION, new XdrWriter().int32(1));
    await garbled.events?.changed(LONG_MS, LIVES);
    await assert.rejects(garbled.client.version(LIVES), { code: 'GODWIT_UNREACHABLE' });
  });

  test('a daemon without such events sends none, and some events are enough', async (t) => {
    assert.equal((await opened(t, [])).events, undefined);
    assert.ok((await opened(t, [0])).events !== undefined);
  });

  test('the wait ends when its caller stops waiting', async (t) => {
    const { events } = await opened(t, [0]);
    assert.ok(events !== undefined);
    events.looked();
    const caller = new AbortController();
    const waiting = events.changed(LONG_MS, caller.signal);
    caller.abort(new Error('the step is over'));
    await assert.rejects(waiting, /the step is over/);
  });
});
