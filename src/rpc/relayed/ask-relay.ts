import tls from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { godwitError, type GodwitError } from '../../errors.ts';
import { fromSerial } from '../../protocol/errors.ts';
import {
  hostOfRendezvous,
  MAX_RELAY_LINE,
  RELAY_ALPN,
  RELAY_VERSION,
  relayLine,
  type RelayAsk,
  type RelayLine,
} from '../../protocol/relay.ts';
import { splitAddress } from '../../protocol/names.ts';
import { clientTls, wrongServer, type RelayPlace, type Trust } from '../tls.ts';
import { LineReader } from './lines.ts';
import { jsonOf } from '../../formats/json.ts';

/** A relay pings every 5 s, and says little else. */
const MAX_LINES_A_SECOND = 32;

/** A stream to a relay, until it is joined. */
export interface RelayStream {
  readonly socket: TLSSocket;
  say(word: string): void;
  /** Something was said that is not with the kernel: the relay may not be reading. */
  readonly isSaying: boolean;
  /** From now on its bytes are the other end's. Rejects the stream (false) where something came before they could. */
  release(): boolean;
}

export interface RelayUser {
  line(line: RelayLine): void;
  /** The stream is over before it was released: why, in words that name the relay. */
  over(error: GodwitError): void;
}

/** Connects to a relay, checks that it is ours, and asks. All that follows comes to `user`; `signal` ends it. */
export function askRelay(
  relay: RelayPlace,
  trust: Trust,
  ask: Omit<RelayAsk, 'version'>,
  user: RelayUser,
  signal: AbortSignal,
): RelayStream {
  const options: tls.ConnectionOptions = {
    ...clientTls(trust),
    ALPNProtocols: [RELAY_ALPN],
    ...splitAddress(relay.address),
  };
  const socket = tls.connect(options);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 10_000);
  let isOurs = true;
  const finish = (thrown: unknown): void => {
    if (!isOurs) return;
    isOurs = false;
    signal.removeEventListener('abort', stop);
    reader.release();
    socket.destroy();
    user.over(failure(relay, ask.at, thrown));
  };
  const stop = (): void => finish(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  let [lines, sinceMs] = [0, performance.now()];
  const reader = new LineReader(socket, MAX_RELAY_LINE, {
    line: (text) => {
      const nowMs = performance.now();
      if (nowMs - sinceMs >= 1000) [lines, sinceMs] = [0, nowMs];
      lines += 1;
      if (lines > MAX_LINES_A_SECOND) {
        finish(new Error(`it says more than ${MAX_LINES_A_SECOND} lines a second`));
        return;
      }
      const line = relayLine.safeParse(jsonOf(text));
      if (!line.success) finish(new Error('it says what is no line of a relay'));
      else if (line.data.type === 'refused') finish(fromSerial(line.data.error));
      else user.line(line.data);
    },
    broken: (why) => finish(new Error(why)),
  });
  socket.on('error', finish);
  socket.once('close', () => finish(new Error('it closed the connection')));
  socket.once('secureConnect', () => {
    const wrong = wrongServer(socket, { name: relay.name, role: 'relay' }, trust.refuses);
    if (wrong !== undefined) finish(wrong);
    else socket.write(`${JSON.stringify({ version: RELAY_VERSION, ...ask })}\n`);
  });
  return {
    socket,
    say: (word) => socket.write(`${word}\n`),
    get isSaying() {
      return socket.writableLength > 0;
    },
    release: () => {
      isOurs = false;
      signal.removeEventListener('abort', stop);
      return reader.release();
    },
  };
}

/**
 * A relay is a path and no more: whatever is wrong with it, the path is not there now, and may be there again. So that a
 * relay that is somebody else's, or lies, ends nothing that another path or a later try would carry on.
 */
export function failure(relay: RelayPlace, at: string, thrown: unknown): GodwitError {
  const said = thrown instanceof Error ? thrown.message : String(thrown);
  const reason = `by the relay ${relay.name} at ${relay.address}: ${said}`.slice(0, 500);
  const facts = { peer: hostOfRendezvous(at), address: at, reason };
  const hint =
    'Check that the relay runs, that both hosts reach it, and that the other host’s agent runs.';
  return godwitError('GODWIT_UNREACHABLE', facts, { hint, cause: thrown });
}
