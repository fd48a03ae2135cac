import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cardOn, cardsIn, type Card, type Network } from '../../../src/drivers/vsphere/networks.ts';
import { at, parseXml } from '../../../src/formats/xml.ts';

/** As VMware documents VirtualEthernetCard and its backings. */
const DEVICES = `<devices xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<d xsi:type="VirtualDisk"><key>2000</key><backing xsi:type="VirtualDiskFlatVer2BackingInfo"><fileName>x</fileName></backing></d>
<d xsi:type="VirtualVmxnet3"><key>4000</key><deviceInfo><label>Network adapter 1</label></deviceInfo>
<backing xsi:type="VirtualEthernetCardNetworkBackingInfo"><deviceName>VM Network</deviceName></backing></d>
<d xsi:type="VirtualE1000"><key>4001</key><backing xsi:type="VirtualEthernetCardDistributedVirtualPortBackingInfo">
<port><switchUuid>s</switchUuid><portgroupKey>dvportgroup-7</portgroupKey></port></backing></d>
<d xsi:type="VirtualE1000"><key>4003</key><backing xsi:type="VirtualEthernetCardDistributedVirtualPortBackingInfo">
<port><switchUuid>s</switchUuid><portKey>9</portKey></port></backing></d>
<d xsi:type="VirtualE1000"><key>4002</key><backing xsi:type="VirtualEthernetCardOpaqueNetworkBackingInfo"><opaqueNetworkId>n</opaqueNetworkId></backing></d>
</devices>`;
const GROUP: Network = {
  ref: { type: 'DistributedVirtualPortgroup', value: 'dvportgroup-7' },
  name: 'app',
  port: { switchUuid: '50 1f', group: 'dvportgroup-7' },
};

function cards(): Card[] {
  const root = parseXml(DEVICES, 100_000);
  assert.ok(root);
  return cardsIn(at(root, 'd'), [GROUP, { ref: { type: 'Network', value: 'n-1' }, name: 'plain' }]);
}

test('cards are known by the names of their networks, and one of another kind has no name', () => {
  assert.deepEqual(
    cards().map(({ key, label, network }) => [key, label, network]),
    [
      ['4000', 'Network adapter 1', 'VM Network'],
      ['4001', 'network card 4001', 'app'],
      // It is on a port of no group, and not on a network that has no group either.
      ['4003', 'network card 4003', undefined],
      ['4002', 'network card 4002', undefined],
    ],
  );
});

test('a card is put on a port group by its switch, and on another network by its reference', () => {
  const [card] = cards();
  assert.ok(card);
  assert.equal(
    cardOn(card, GROUP),
    '<deviceChange><operation>edit</operation><device xsi:type="VirtualVmxnet3"><key>4000</key><backing xsi:type="VirtualEthernetCardDistributedVirtualPortBackingInfo"><port><switchUuid>50 1f</switchUuid><portgroupKey>dvportgroup-7</portgroupKey></port></backing></device></deviceChange>',
  );
  const plain = cardOn(card, { ref: { type: 'Network', value: 'network-9' }, name: 'a & b' });
  assert.match(
    plain,
    /<backing xsi:type="VirtualEthernetCardNetworkBackingInfo"><deviceName>a &amp; b<\/deviceName><network type="Network">network-9<\/network><\/backing>/,
  );
});
