import type { Socket, TcpNetConnectOpts } from 'node:net';
import tls from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import { godwitError, hasCode, type GodwitError } from '../../errors.ts';
import { splitAddress } from '../../protocol/names.ts';
import { hostOfRendezvous, rendezvousOf } from '../../protocol/relay.ts';
import { clientTls, type RelayPlace, type Trust } from '../tls.ts';
import { askRelay, failure } from './ask-relay.ts';

/** Of one relay, ms: more than it lets a caller wait. */
const CALL_MS = 8000;
/** For which the next relay waits, ms: a call through the second one still fits into 5 s. */
const NEXT_MS = 1000;

/**
 * A TLS connection to the server at `address`, which shakes hands when this resolves: straight, or where the address
 * is one like `b.relay:7443`, over a stream that a relay joins with one of the host b. The server's certificate is checked
 * by whoever called, alike for both: the relay is nobody to them. GODWIT_UNREACHABLE where no relay leads there.
 */
export async function connectTls(
  address: string,
  trust: Trust,
  options: Partial<tls.ConnectionOptions & TcpNetConnectOpts>,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const at = rendezvousOf(address);
  if (at === undefined)
    return tls.connect({ ...clientTls(trust), ...options, ...splitAddress(address) });
  const stream = await callAt(at, trust, signal);
  return over(stream, () => tls.connect({ ...clientTls(trust), ...options, socket: stream }));
}

/** TLS over a stream of a relay: each ends with the other. */
function over(stream: Socket, make: () => TLSSocket): TLSSocket {
  const socket = make();
  socket.once('close', () => stream.destroy());
  stream.on('error', (error) => socket.destroy(error));
  stream.once('close', () => socket.destroy());
  return socket;
}

/** The first stream that a relay gives: each is asked `NEXT_MS` after the one before, or as soon as that one has failed. */
async function callAt(at: string, trust: Trust, signal: AbortSignal): Promise<TLSSocket> {
  const relays = relaysOf(at, trust);
  const found = new AbortController();
  const inner = AbortSignal.any([signal, found.signal]);
  let before: Promise<unknown> = Promise.resolve();
  const tries = relays.map((relay, index) => {
    const turn = index === 0 ? before : failedOrLate(before, inner);
    const what = `a stream to ${at} by the relay ${relay.name}`;
    const one = turn
      .then(() => withDeadline(what, CALL_MS, inner, (each) => call(relay, at, trust, each)))
      .catch((thrown: unknown) => {
        throw hasCode(thrown, 'GODWIT_UNREACHABLE') ? thrown : failure(relay, at, thrown);
      });
    before = one;
    return one;
  });
  try {
    return await Promise.any(tries);
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown instanceof AggregateError ? thrown.errors.at(-1) : thrown;
  } finally {
    const all = Promise.allSettled(tries);
    found.abort();
    // Two may have answered at once: the first is used.
    void all.then((ended) => {
      const won = ended.filter((each) => each.status === 'fulfilled').map(({ value }) => value);
      for (const socket of won.slice(1)) socket.destroy();
    });
  }
}

/** Resolves once a try has failed, or has taken too long for the next to wait for it; rejects when `signal` aborts. */
async function failedOrLate(tried: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const failed = new Promise<void>((resolve) => tried.catch(() => resolve()));
  await Promise.race([failed, systemClock.sleep(NEXT_MS, signal)]);
}

function call(
  relay: RelayPlace,
  at: string,
  trust: Trust,
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const stream = askRelay(
      relay,
      trust,
      { does: 'call', at },
      {
        line: ({ type }) => {
          if (type !== 'joined') return undefined;
          if (stream.release()) return resolve(stream.socket);
          stream.socket.destroy();
          const why = 'bytes of nobody came before the other end’s';
          return reject(failure(relay, at, new Error(why)));
        },
        over: reject,
      },
      signal,
    );
  });
}

/** Whether a host waits at one of the relays now, at whatever rendezvous; never rejects but by the signal. */
export async function isWaiting(
  address: string,
  trust: Trust,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const at = rendezvousOf(address) ?? '';
  const looks = relaysOf(at, trust).map((relay) =>
    withDeadline('a look at a relay', timeoutMs, signal, (inner) => look(relay, at, trust, inner)),
  );
  const seen = await Promise.all(looks.map((each) => each.catch(() => false)));
  signal.throwIfAborted();
  return seen.includes(true);
}

function look(relay: RelayPlace, at: string, trust: Trust, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const stream = askRelay(
      relay,
      trust,
      { does: 'look', at },
      {
        line: (line) => {
          if (line.type !== 'seen') return;
          resolve(line.waiting > 0);
          stream.release();
          stream.socket.destroy();
        },
        over: reject,
      },
      signal,
    );
  });
}

function relaysOf(at: string, { relayed }: Trust): readonly RelayPlace[] {
  if (relayed !== undefined && relayed.relays.length > 0) return relayed.relays;
  const hint = 'Name it as `relays` in the configuration: docs/sites.md.';
  const facts = { peer: hostOfRendezvous(at), address: at };
  const reason = 'its address leads through a relay, and this host has none';
  throw godwitError('GODWIT_UNREACHABLE', { ...facts, reason }, { hint });
}

/** A server over a relay's stream that is not whom we called: the relay has led elsewhere, and may not the next time. */
export function ledElsewhere(address: string, wrong: GodwitError): GodwitError {
  const at = rendezvousOf(address);
  if (at === undefined) return wrong;
  const reason = `the relay led elsewhere: ${wrong.message}`.slice(0, 500);
  const facts = { peer: hostOfRendezvous(at), address, reason };
  return godwitError('GODWIT_UNREACHABLE', facts, { cause: wrong });
}
