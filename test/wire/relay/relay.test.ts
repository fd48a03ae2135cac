import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import * as writer from '../stream/writer.ts';
import { readAll, relayPair } from './pair.ts';

/** A stream of so many pages, every third zero, with a device's state behind them. */
function streamOf(pages: number, first = 1): Buffer {
  const records = Array.from({ length: pages }, (_, at) => {
    const name = at === 0 ? 'pc.ram' : undefined;
    if (at % 3 === 2) return writer.zeroPage(at * 4096, name);
    const page = Buffer.alloc(4096);
    for (let word = 0; word < 4096; word += 4) page.writeInt32LE(Math.imul(first + at, word), word);
    return writer.page(at * 4096, page, name);
  });
  return Buffer.concat([
    writer.fileHeader(),
    writer.sectionHeader('start', 2, 'ram'),
    writer.ramList([writer.PC_RAM]),
    writer.endOfSection,
    writer.footer(2),
    writer.partHeader('end', 2),
    ...records,
    writer.endOfSection,
    writer.footer(2),
    Buffer.from([0]),
  ]);
}

describe('a relay', () => {
  test('gives the far hypervisor the bytes of the near one, and answers the other way', async (context) => {
    const pair = await relayPair(context);
    const stream = streamOf(3000);
    const near = await pair.connect();
    const far = await pair.accept();
    far.write('answer of the destination');
    const [answer] = (await once(near, 'data')) as [Buffer];
    assert.equal(answer.toString(), 'answer of the destination');
    near.end(stream);
    const got = await readAll(far);
    assert.ok(got.equals(stream), `${got.length} of ${stream.length} bytes`);
    far.end('the last word');
    assert.equal((await readAll(near)).toString(), 'the last word');
    await Promise.all([pair.source.close(5000), pair.target.close(5000)]);
    await pair.near.close(5000);
    const { tallies } = pair.source.figures;
    assert.equal(tallies[0]?.told.zero, 1000);
  });
});
