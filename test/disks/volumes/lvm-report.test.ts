import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseGroups, parseVolumes, tagOf } from '../../../src/disks/volumes/lvm-report.ts';

/** As LVM 2.03 writes it. */
const VGS = `  {
      "report": [
          {
              "vg": [
                  {"vg_name":"vg0", "vg_extent_size":"4194304", "vg_free":"10737418240"}
              ]
          }
      ]
      ,
      "log": [
      ]
  }
`;
const row = (text: string): string => `{"report":[{"lv":[${text}]}],"log":[]}`;
const LV =
  '{"lv_name":"web1", "lv_size":"8589934592", "lv_tags":"backup,godwit=m-0000000a", "lv_layout":"linear", "data_percent":""}';
const POOL =
  '{"lv_name":"tp", "lv_size":"1000", "lv_tags":"", "lv_layout":"thin,pool", "data_percent":"12.34"}';

describe("LVM's report", () => {
  test('the report of a volume group has its extents and its room', () => {
    const read = parseGroups(VGS);
    assert.deepEqual(read, [{ name: 'vg0', extentBytes: 4_194_304, freeBytes: 10_737_418_240 }]);
  });

  test("the report of volumes has their size, their mark, and a thin pool's free room, never too much", () => {
    const [volume, pool] = parseVolumes(row(`${LV},${POOL}`)) ?? [];
    assert.equal(volume?.bytes, 8 * 1024 ** 3);
    assert.equal(volume?.mark, 'm-0000000a');
    assert.equal(volume?.isThinPool, false);
    assert.deepEqual([pool?.isThinPool, pool?.freeBytes], [true, 876]);
    assert.deepEqual(parseVolumes(row('')), []);
  });

  test('two marks on one volume count as none: Godwit never writes two', () => {
    const two = LV.replace('backup', tagOf('m-0000000b'));
    assert.equal(parseVolumes(row(two))?.[0]?.mark, undefined);
    assert.equal(
      parseVolumes(row(LV.replace(/"backup,[^"]*"/, '"godwit="')))?.[0]?.mark,
      undefined,
    );
  });

  test('the report is read completely or not at all, whatever it holds', () => {
    const broken = [
      VGS.replace('4194304', '0'),
      VGS.replace('4194304', '4m'),
      '',
      '[]',
      '{"report":[]}x',
    ];
    for (const each of broken) assert.equal(parseGroups(each), undefined, each);
    assert.equal(parseVolumes(row(LV.replace('8589934592', '-1'))), undefined);
    assert.equal(parseVolumes(row(LV.replace('"lv_layout":"linear", ', ''))), undefined);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), mutated(VGS), mutated(row(LV))), (text) => {
        for (const each of parseGroups(text) ?? []) assert.ok(each.extentBytes > 0);
        for (const each of parseVolumes(text) ?? []) {
          assert.ok(Number.isSafeInteger(each.bytes) && each.freeBytes >= 0);
          assert.ok(each.freeBytes <= each.bytes);
        }
      }),
    );
  });
});

/** One character is another. */
function mutated(text: string): fc.Arbitrary<string> {
  return fc
    .tuple(fc.nat(text.length - 1), fc.string({ maxLength: 2 }))
    .map(([at, put]) => text.slice(0, at) + put + text.slice(at + 1));
}
