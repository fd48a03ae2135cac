import { parentPort, workerData } from 'node:worker_threads';
import { FarCache } from '../cache/contents.ts';
import { Places } from '../cache/places.ts';
import { Scope } from '../cache/scope.ts';
import { Store } from '../cache/store.ts';
import { writeSummary } from '../cache/summary.ts';
import { Credit } from './credit.ts';
import { DecodePipe } from './decode-pipe.ts';
import { makeHash64 } from './hash.ts';
import { Packer, type Pack } from './pack.ts';
import {
  MAX_BETWEEN_BYTES,
  type DecodeStart,
  type FromDecoder,
  type ToDecoder,
} from './thread-messages.ts';

/** Thread of DecodeThread. A failure ends it, with the reason in the error event. */
const start = workerData as DecodeStart;
const toTaker = new Credit(MAX_BETWEEN_BYTES);
const packer = new Packer();
/** Packs of the present batch, which are sent only after its hash was compared. */
let full: Pack[] = [];
/** Answers in order, each to be sent once that many bytes were taken; the next batch is decoded meanwhile. */
const answers: { readonly afterBytes: number; readonly bytes: Uint8Array<ArrayBuffer> }[] = [];
let handedBytes = 0;
let takenBytes = 0;

function post(message: FromDecoder, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

async function hand(pack: Pack): Promise<void> {
  const { byteLength } = pack.memory;
  await toTaker.take(byteLength);
  handedBytes += byteLength;
  post({ type: 'items', pack });
}

function answer(): void {
  while (answers[0] !== undefined && answers[0].afterBytes <= takenBytes) {
    const { bytes } = answers[0];
    answers.shift();
    post({ type: 'answer', bytes }, [bytes.buffer]);
  }
}

const scope = start.cache && new Scope(start.cache.secret, start.cache.sharing, start.cache.peer);
const store = start.cache && scope && (await Store.open({ ...start.cache, scope }));
const places = Places.agreed(start.cache?.places);
const pipe = new DecodePipe({
  settings: start.settings,
  hash64: await makeHash64(start.seed),
  ...(store && scope && { contents: new FarCache(store, scope, places) }),
  mostHeldBytes: start.mostHeldBytes,
  give: (item) => {
    full.push(...packer.add(item));
    return undefined;
  },
  compared: async () => {
    if (!packer.empty) full.push(packer.take());
    const packs = full;
    full = [];
    for (const pack of packs) await hand(pack);
  },
  answer: (frame) => {
    answers.push({ afterBytes: handedBytes, bytes: Uint8Array.from(frame) });
    return Promise.resolve(answer());
  },
});

let last: Promise<void> = Promise.resolve();

parentPort?.on('message', (message: ToDecoder) => {
  switch (message.type) {
    case 'bytes':
      last = last.then(async () => {
        const { length } = message.bytes;
        await pipe.write(message.bytes);
        post({ type: 'taken', bytes: length });
      });
      return;
    case 'given':
      takenBytes += message.memory.byteLength;
      toTaker.give(message.memory.byteLength);
      packer.recycle(message.memory);
      return answer();
    case 'close':
      last = last
        .then(() => pipe.end())
        .then(() => toTaker.settled())
        .then(() => {
          pipe.close();
          store?.close();
          if (start.cache?.places !== undefined) places.save(start.cache.places.file);
          post({ type: 'closed' });
          parentPort?.close();
        });
      return;
  }
});

const summary = Uint8Array.from(writeSummary(store?.names() ?? [], start.mostSummaryNames));
post({ type: 'ready', summary }, [summary.buffer]);
