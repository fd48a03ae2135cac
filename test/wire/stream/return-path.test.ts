import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ReturnPath } from './return-path.ts';
import { Collector } from './collector.ts';
import * as writer from './writer.ts';

function parse(parts: readonly Buffer[]): Collector {
  const collector = new Collector();
  const parser = new ReturnPath(collector);
  const stream = Buffer.concat(parts);
  parser.push(stream);
  parser.end();
  assert.ok(collector.joined().equals(stream));
  return collector;
}

const names = ({ notes }: Collector): string[] =>
  notes.map((note) => (note.type === 'message' ? note.name : note.type));

describe('the return path', () => {
  test('the return path reports each message', () => {
    const found = parse([
      writer.message(2, Buffer.alloc(4)),
      writer.message(3, Buffer.alloc(20)),
      writer.message(4, Buffer.alloc(12)),
      writer.message(7),
      writer.message(1, Buffer.alloc(4)),
    ]);
    assert.deepEqual(names(found), ['PONG', 'REQ_PAGES_ID', 'REQ_PAGES', 'SWITCHOVER_ACK', 'SHUT']);
    assert.deepEqual(found.kinds(), ['message']);
  });

  test('the return path recognizes the bitmap of a recovery, and continues behind it', () => {
    const bits = writer.bitmap(Buffer.alloc(64, 0xff));
    const found = parse([
      writer.message(5, Buffer.from([1, 65])),
      bits,
      writer.message(6, Buffer.alloc(4)),
    ]);
    assert.deepEqual(names(found), ['RECV_BITMAP', 'RESUME_ACK']);
    assert.equal(found.bytesOf('bitmap'), bits.length);
  });

  test('the return path passes everything on once a message is not valid', () => {
    for (const bad of [
      writer.message(0),
      writer.message(1, Buffer.alloc(3)),
      writer.message(200),
      writer.message(3, Buffer.alloc(600)),
      Buffer.concat([writer.message(5, Buffer.alloc(1)), Buffer.alloc(16)]),
      Buffer.concat([writer.message(5, Buffer.alloc(1)), Buffer.alloc(8, 0xff)]),
    ]) {
      const found = parse([bad, writer.message(2, Buffer.alloc(4))]);
      assert.equal(names(found).at(-1), 'lost');
      assert.ok(found.bytesOf('unknown') >= 8);
    }
  });
});
