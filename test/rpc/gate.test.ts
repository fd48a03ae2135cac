import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { cameByRelay, Gate } from '../../src/rpc/gate.ts';
import { strangerAt } from '../../src/rpc/identity.ts';
import { DEFAULT_LIMITS } from '../../src/rpc/limits.ts';
import { CONNECTION, Refusals } from '../../src/rpc/refusals.ts';
import { authority, calling, serving, sharesOf } from './test-contract.ts';
import { dialTls, openSockets } from './sockets.ts';
import { readAnswer } from './wire.ts';
import { untilSo } from '../until.ts';

const params = { name: 'x' };
const body = { text: 't' };
const bound = (each: number, all: number) => ({ each, all });

/** A connection without a network: from where it comes, and whether it is open. */
class FakeSocket {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress = '10.0.0.9';
  readonly localPort = 7443;
  isOpen = true;
  readonly #onClose: (() => void)[] = [];

  constructor(remoteAddress: string, remotePort: number) {
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  once(_event: 'close', listener: () => void): void {
    this.#onClose.push(listener);
  }

  destroy(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const listener of this.#onClose) listener();
  }
}

const moves = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('open' as const), at: fc.nat(4) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('close' as const), pick: fc.nat(30) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(3000) }) },
  ),
  { maxLength: 80 },
);

test('strangers hold no more than their limits, whatever they do, and a newcomer displaces the greediest', () => {
  fc.assert(
    fc.property(moves, (list) => {
      let nowMs = 0;
      let port = 0;
      const limits = {
        shares: sharesOf('stranger', { connections: bound(3, 5) }),
        handshakes: { burst: 6, perS: 2 },
      };
      const gate = new Gate(limits, () => nowMs);
      const all: FakeSocket[] = [];
      const begun = new Map<number, number[]>();
      const open = (at?: number): FakeSocket[] =>
        all.filter(
          (each) => each.isOpen && (at === undefined || each.remoteAddress === address(at)),
        );
      const address = (at: number): string => `10.0.0.${at}`;
      for (const move of list) {
        if (move.do === 'wait') nowMs += move.ms;
        if (move.do === 'close') open()[move.pick % Math.max(1, open().length)]?.destroy();
        if (move.do !== 'open') continue;
        const before = [0, 1, 2, 3, 4].map((at) => open(at).length);
        const most = Math.max(...before);
        const socket = new FakeSocket(address(move.at), (port += 1));
        if (!gate.admit(socket as unknown as Socket)) continue;
        all.push(socket);
        begun.set(move.at, [...(begun.get(move.at) ?? []), nowMs]);
        assert.ok(socket.isOpen, 'who has just come is not the one to go');
        // Of others only those go of whom nobody has more.
        for (const [at, had] of before.entries()) {
          const has = open(at).length - (at === move.at ? 1 : 0);
          if (has < had) assert.ok(at === move.at || had === most, `${before.join()} at ${at}`);
        }
        assert.ok(open(move.at).length <= 3 && open().length <= 5);
        // In any span no more handshakes than the burst and what comes back in that time.
        for (const times of begun.values()) {
          for (const [index, from] of times.entries()) {
            const some = times.length - index;
            assert.ok(some <= 6 + ((nowMs - from) / 1000) * 2 + 1e-9, `${some} since ${from}`);
          }
        }
      }
      assert.equal(gate.size, open().length);
    }),
    { numRuns: 300 },
  );
});

const RELAY = '203.0.113.9';

/** A stream that a relay gave for this caller. */
function relayed(caller: string, port: number, at = RELAY): FakeSocket {
  const socket = new FakeSocket(at, port);
  cameByRelay(socket as unknown as Socket, caller);
  return socket;
}

const admits = (gate: Gate, socket: FakeSocket): boolean => gate.admit(socket as unknown as Socket);

test('a host that calls through a relay and ends its calls leaves handshakes to others behind it', () => {
  let nowMs = 0;
  let port = 0;
  const gate = new Gate(DEFAULT_LIMITS, () => nowMs);
  const call = (caller: string): boolean => {
    const socket = relayed(caller, (port += 1));
    const isTaken = admits(gate, socket);
    socket.destroy();
    return isTaken;
  };
  let begun = 0;
  for (; nowMs < 120_000; nowMs += 5) {
    if (call('evil')) begun += 1;
    if (nowMs % 500 === 0) assert.ok(call('b'), `b after ${nowMs} ms`);
  }
  const { burst, perS } = DEFAULT_LIMITS.handshakes;
  assert.ok(begun <= burst / 4 + (120 * perS) / 4, `${begun} handshakes`);
});

test('a relay that invents callers has no more handshakes than any other address', () => {
  const limits = { ...DEFAULT_LIMITS, handshakes: { burst: 8, perS: 0 } };
  const gate = new Gate(limits, () => 0);
  const calls = Array.from({ length: 50 }, (_, each) => relayed(`made-up-${each}`, each));
  assert.equal(calls.filter((each) => admits(gate, each)).length, 8);
});

test('behind a relay the greediest caller yields, not the first one', () => {
  const shares = sharesOf('stranger', { connections: bound(4, 6) });
  const gate = new Gate({ ...DEFAULT_LIMITS, shares }, () => 0);
  const first = relayed('b', 1);
  const evil = [2, 3, 4, 5].map((port) => relayed('evil', port));
  const last = relayed('c', 6);
  for (const each of [first, ...evil, last]) assert.ok(admits(gate, each));
  assert.deepEqual(
    [first, ...evil, last].map(({ isOpen }) => isOpen),
    [true, false, false, true, true, true],
  );
});

test("handshakes of an expected peer are not counted, even behind a relay; other callers' are", () => {
  const gate = new Gate({ ...DEFAULT_LIMITS, handshakes: { burst: 8, perS: 0 } }, () => 0);
  let port = 0;
  const calls = (make: () => FakeSocket): number =>
    Array.from({ length: 20 }, make).filter((each) => admits(gate, each)).length;
  const direct = (at: string) => () => new FakeSocket(at, (port += 1));
  const byRelay = (caller: string) => () => relayed(caller, (port += 1));
  for (const make of [direct('192.0.2.1'), byRelay('a')]) {
    const socket = make();
    assert.ok(admits(gate, socket));
    gate.release(socket as unknown as Socket);
    assert.equal(calls(make), 20);
    assert.ok(socket.isOpen, 'it makes room for none');
  }
  assert.equal(calls(direct('192.0.2.2')), 8);
  assert.equal(calls(byRelay('evil')), 2);
});

function dial(t: TestContext, address: string): Socket {
  const [host = '', port] = address.split(':');
  const socket = net.connect({ host, port: Number(port) });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  return socket;
}

/** Its end, also where that is an error. */
function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.resume().once('close', () => resolve()));
}

test('a stranger that only holds connections open uses up neither places nor memory of others', async (t) => {
  const { issue } = await authority(t);
  const { address } = await serving(t, await issue('b', 'agent'));
  const { connections } = DEFAULT_LIMITS.shares.stranger;
  const before = openSockets();
  const silent: Socket[] = [];
  // As many as the whole server takes, and each of them says nothing.
  for (let count = 0; count < 250; count += 1) {
    const socket = dial(t, address);
    await once(socket, 'connect');
    silent.push(socket);
  }
  const { api } = calling(t, address, await issue('ann', 'operator'));
  assert.deepEqual(await api.act({ params, body }), { said: 't', by: 'ann' });
  const isOver = (): boolean => silent.filter(({ closed }) => !closed).length <= connections.each;
  for (const socket of silent) socket.resume();
  await untilSo(isOver);
  // Both ends are in this process; besides them there is the operator's connection and the server itself.
  const held = openSockets() - before;
  assert.ok(held <= 2 * connections.each + 2, `${held} sockets`);
});

test('a caller that sends a byte at a time loses its place to a newcomer', async (t) => {
  const { issue } = await authority(t);
  const shares = sharesOf('stranger', { connections: bound(2, 4) });
  const { address } = await serving(t, await issue('b', 'agent'), { limits: { shares } });
  const slow = [dial(t, address), dial(t, address)];
  await Promise.all(slow.map((socket) => once(socket, 'connect')));
  const over = Promise.all(slow.map(ended));
  const timers = slow.map((socket) => setInterval(() => socket.write('\u0016'), 1));
  t.after(() => timers.forEach((timer) => clearInterval(timer)));
  const { api } = calling(t, address, await issue('a', 'agent'));
  assert.equal((await api.hello()).name, 'b');
  calling(t, address, { ...(await issue('c', 'agent')) });
  const more = [dial(t, address), dial(t, address)];
  await over;
  assert.equal((await api.hello()).name, 'b');
  for (const socket of more) socket.destroy();
});

test('a caller whose handshakes fail is refused before the next one; one with a certificate is not', async (t) => {
  const { issue } = await authority(t);
  const limits = { handshakes: { burst: 4, perS: 0 } };
  const { address } = await serving(t, await issue('b', 'agent'), { limits });
  const host = await issue('a', 'agent');
  // Each of these gives its handshake back.
  for (let count = 0; count < 10; count += 1) {
    const socket = await dialTls(t, address, host);
    socket.write('GET /hello HTTP/1.1\r\nhost: b\r\n\r\n');
    assert.equal((await readAnswer(socket)).status, 200);
  }
  for (let count = 0; count < 4; count += 1) {
    const socket = dial(t, address);
    socket.end('nonsense\r\n\r\n');
    await ended(socket);
  }
  const refused = dial(t, address).resume();
  const error = once(refused, 'error');
  assert.equal(((await error) as [NodeJS.ErrnoException])[0].code, 'ECONNRESET');
});

test('connections of one identity are bounded, with a message, and others find room', async (t) => {
  const { issue } = await authority(t);
  const shares = sharesOf('viewer', { connections: bound(2, 3) });
  const { address } = await serving(t, await issue('b', 'agent'), { limits: { shares } });
  const viewer = await issue('vic', 'viewer');
  const kept = [await dialTls(t, address, viewer), await dialTls(t, address, viewer)];
  const third = await dialTls(t, address, viewer);
  const answer = await readAnswer(third);
  assert.equal(answer.status, 429);
  assert.equal(answer.json.error.code, 'GODWIT_OVERLOADED');
  assert.match(answer.json.error.message, /^vic \(viewer\), in connections at once,/);
  const other = calling(t, address, await issue('val', 'viewer'));
  assert.equal((await other.api.say({ params, body })).by, 'val');
  // A third viewer takes the oldest place of the one with the most.
  const closed = ended(kept[0]!);
  const more = calling(t, address, await issue('vera', 'viewer'));
  assert.equal((await more.api.say({ params, body })).by, 'vera');
  await closed;
  const operator = calling(t, address, await issue('ann', 'operator'));
  assert.equal((await operator.api.act({ params, body })).by, 'ann');
});

test("refusals of many kinds, or from many networks, never displace another peer's refusal", () => {
  const refusals = new Refusals({ monotonicMs: () => 0, wallMs: () => 0 });
  const code = 'GODWIT_NOT_A_MEMBER';
  const hosts = Array.from({ length: 100 }, (_, each) => `host${each} (agent)`);
  for (const peer of hosts) refusals.note({ peer, code, message: 'no' });
  for (let count = 0; count < 5000; count += 1) {
    const peer = `2001:db8:0:${count.toString(16)}::/64`;
    refusals.note({ peer, code: CONNECTION, message: 'no', circle: 'stranger' });
    refusals.note({ peer: 'bad (agent)', code: `GODWIT_${count}`, message: 'no' });
    assert.ok(refusals.size <= 1024);
  }
  const shown = new Set(refusals.list().map(({ peer }) => peer));
  assert.deepEqual(
    hosts.filter((peer) => !shown.has(peer)),
    [],
  );
  // The newest of the strangers are there, too.
  assert.ok(shown.has(`2001:db8:0:${(4999).toString(16)}::/64`));
  // Peers alone, more than there is room for: it goes round.
  for (let count = 0; count < 3000; count += 1)
    refusals.note({ peer: `more${count} (agent)`, code, message: 'no' });
  assert.equal(refusals.size, 1024);
});

test('a repeated refusal is logged once a minute, counted, and shown if it concerns trust', () => {
  let nowMs = 0;
  const refusals = new Refusals({ monotonicMs: () => nowMs, wallMs: () => nowMs });
  const reported: number[] = [];
  refusals.changed = () => reported.push(nowMs);
  const note = (peer: string, code: string) => refusals.note({ peer, code, message: 'no' });
  const notes = Array.from({ length: 50 }, () => note('a', 'GODWIT_NOT_A_MEMBER'));
  assert.deepEqual(notes[0], { count: 1 });
  assert.ok(notes.slice(1).every((each) => each === undefined));
  assert.deepEqual(note('a', 'GODWIT_GUEST_UNKNOWN'), { count: 1 }, 'another kind');
  assert.deepEqual(note('b', 'GODWIT_NOT_A_MEMBER'), { count: 1 }, 'another peer');
  nowMs = 60_000;
  assert.deepEqual(note('a', 'GODWIT_NOT_A_MEMBER'), { count: 51, unlogged: 49 });
  assert.equal(reported.length, 52, 'what is no refusal of trust is not reported');
  assert.deepEqual(
    refusals.list().map(({ peer, count, at }) => [peer, count, Date.parse(at)]),
    [
      ['b', 1, 0],
      ['a', 51, 60_000],
    ],
  );
  for (let count = 0; count < 5000; count += 1) note(`${count}`, 'x');
  assert.equal(refusals.size, 1024);
  assert.equal(strangerAt(undefined).circle, 'stranger');
});
