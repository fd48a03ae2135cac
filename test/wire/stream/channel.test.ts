import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { channelKind, parseChannel } from '../../../src/wire/stream/channel.ts';
import { StreamContext } from '../../../src/wire/stream/context.ts';
import { Collector } from './collector.ts';
import * as writer from './writer.ts';

describe('a channel', () => {
  test('a channel is identified by its first byte', () => {
    const fresh = new StreamContext();
    const running = new StreamContext();
    running.setBlocks([{ index: 0, name: 'pc.ram', usedBytes: 4096 }]);
    assert.equal(channelKind(writer.fileHeader()[0]!, fresh), 'main');
    assert.equal(channelKind(writer.command(9)[0]!, running), 'main');
    assert.equal(channelKind(writer.multifdHello(0)[0]!, fresh), 'multifd');
    assert.equal(channelKind(writer.zeroPage(0, 'pc.ram')[0]!, running), 'preempt');
    assert.equal(channelKind(0, fresh), 'main');
  });

  test('a silent channel ends without an error', () => {
    const collector = new Collector();
    const parser = parseChannel(collector);
    parser.push(new Uint8Array(0));
    parser.flush();
    parser.end();
    assert.equal(parser.heldBytes, 0);
    assert.deepEqual(collector.items, []);
  });

  test('a channel shares the blocks of the main one', () => {
    const context = new StreamContext();
    const main = parseChannel(new Collector(), context);
    main.push(writer.fileHeader());
    main.push(writer.sectionHeader('start', 2, 'ram'));
    main.push(Buffer.concat([writer.ramList([{ name: 'a', bytes: 8192 }]), writer.endOfSection]));
    const collector = new Collector();
    parseChannel(collector, context).push(writer.page(4096, Buffer.alloc(4096), 'a'));
    assert.equal(collector.pages.page, 1);
  });
});
