import { parentPort, workerData } from 'node:worker_threads';
import { NearCache } from '../cache/contents.ts';
import { Places } from '../cache/places.ts';
import { Scope } from '../cache/scope.ts';
import { Store } from '../cache/store.ts';
import { Summary } from '../cache/summary.ts';
import { Credit } from './credit.ts';
import { EncodePipe } from './encode-pipe.ts';
import { makeHash64 } from './hash.ts';
import { unpack } from './pack.ts';
import {
  MAX_BETWEEN_BYTES,
  type EncodeStart,
  type FromEncoder,
  type ToEncoder,
} from './thread-messages.ts';

/** Thread of EncodeThread. A failure ends it, with the reason in the error event. */
const start = workerData as EncodeStart;
const toSender = new Credit(MAX_BETWEEN_BYTES);

function post(message: FromEncoder, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

const scope = start.cache && new Scope(start.cache.secret, start.cache.sharing, start.cache.peer);
const store = start.cache && scope && (await Store.open({ ...start.cache, scope }));
const places = Places.agreed(start.cache?.places);
const far = new Summary(Buffer.from(start.farSummary));
const contents = store && scope ? { contents: new NearCache(store, scope, far, places) } : {};
const pipe = new EncodePipe({
  settings: start.settings,
  hash64: await makeHash64(start.seed),
  ...contents,
  cores: start.cores,
  saidBytesPerS: start.saidBytesPerS,
  nowMs: () => performance.now(),
  send: async (frame) => {
    await toSender.take(frame.length);
    const bytes = owned(frame);
    post({ type: 'frame', bytes }, [bytes.buffer]);
  },
});

/** A pooled buffer cannot be transferred. */
function owned(frame: Buffer): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = frame;
  const whole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  return whole ? new Uint8Array(buffer) : Uint8Array.from(frame);
}

/**
 * Items, flushes and the end are processed in order, other messages at once. Answers have a separate order,
 * because contents must be sent while items wait. A Mutex would continue after a failure and could confirm a
 * flush of unsent data.
 */
let last: Promise<void> = Promise.resolve();
let lastAnswer: Promise<void> = Promise.resolve();

function inOrder(work: () => Promise<void>): void {
  last = last.then(work);
}

function close(): void {
  store?.close();
  if (start.cache?.places !== undefined) places.save(start.cache.places.file);
  const tally = {
    encoded: pipe.encoder.encoded,
    levelChanges: pipe.level.changes,
    misses: pipe.misses,
  };
  post({ type: 'closed', tally });
  parentPort?.close();
}

parentPort?.on('message', (message: ToEncoder) => {
  switch (message.type) {
    case 'items':
      return inOrder(async () => {
        await pipe.add(unpack(message.pack));
        post({ type: 'taken', memory: message.pack.memory });
      });
    case 'flush':
      return inOrder(async () => {
        await pipe.flush();
        post({ type: 'flushed', id: message.id });
      });
    case 'push':
      return inOrder(() => pipe.push());
    case 'answer':
      lastAnswer = lastAnswer.then(async () => {
        await pipe.answer(message.bytes);
        post({ type: 'answered' });
      });
      return;
    case 'link':
      return pipe.level.linkCarries(message.bytesPerS);
    case 'sent':
      return toSender.give(message.bytes);
    case 'close':
      return inOrder(() => Promise.resolve(close()));
  }
});
