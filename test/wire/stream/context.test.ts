import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StreamContext } from '../../../src/wire/stream/context.ts';
import { MAX_SECTIONS } from '../../../src/wire/stream/format.ts';

describe("the channels' shared context", () => {
  test("the channels' shared context contains the pages of each block", () => {
    const context = new StreamContext();
    const block = { index: 0, name: 'pc.ram', usedBytes: 8192 };
    context.setBlocks([block]);
    assert.equal(context.block('pc.ram'), block);
    assert.equal(context.block('other'), undefined);
    assert.ok(context.holds(block, 4096));
    assert.ok(!context.holds(block, 8192));
    assert.ok(!context.holds(block, 512));
  });

  test("the channels' shared context is bounded, however many sections are opened", () => {
    const context = new StreamContext();
    for (let id = 0; id < MAX_SECTIONS + 10; id += 1) context.openSection(id, 'x');
    assert.equal(context.sectionName(MAX_SECTIONS - 1), 'x');
    assert.equal(context.sectionName(MAX_SECTIONS), undefined);
    context.openSection(MAX_SECTIONS + 1, 'ram');
    assert.equal(context.ramSection, MAX_SECTIONS + 1);
  });
});
