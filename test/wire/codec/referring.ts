import { EncodePipe } from '../../../src/wire/codec/encode-pipe.ts';
import { PAGE_BYTES, type Item } from '../../../src/wire/codec/item.ts';
import { SMALL, hash64, pageOf, Shelf } from './support.ts';

export function pageAt(at: number, seed: number): Item {
  return { kind: 'page', block: 0, offset: at * PAGE_BYTES, bytes: pageOf(seed) };
}

/** An encoder that has sent `count` contents as references, numbered from 1: pages of these seeds. */
export async function referring(
  count: number,
  settings = { ...SMALL, windowPages: 512, batchItems: 256 },
) {
  const here = new Shelf();
  here.far = new Shelf();
  const sent: Buffer[] = [];
  const items = Array.from({ length: count }, (_, at) => pageAt(at, at + 1));
  for (const { bytes } of items) here.far.arrived(bytes);
  const joint = { encode: undefined as unknown as EncodePipe, sent, wait: Promise.resolve() };
  joint.encode = new EncodePipe({
    settings,
    hash64,
    contents: here,
    cores: 1,
    nowMs: () => 0,
    send: async (frame) => {
      await joint.wait;
      sent.push(frame);
    },
  });
  await joint.encode.add(items);
  await joint.encode.flush();
  return joint;
}
