import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { isSameMachine } from '../../../src/drivers/libvirt/images/left-behind.ts';

test("a definition with a person's additions belongs to another machine", () => {
  const file = path.join(import.meta.dirname, 'domains', 'nova-instance.xml');
  const own = readFileSync(file, 'utf8');
  const withMore = (text: string) => own.replace('</domain>', `${text}</domain>`);
  assert.ok(isSameMachine(own, own));
  assert.ok(isSameMachine(own, own.replaceAll(/>\s+</g, '><')));
  for (const more of [
    '<title>the one with the GPU</title>',
    '<cputune><vcpupin vcpu="0" cpuset="1"/></cputune>',
    "<numatune><memory mode='strict' nodeset='0'/></numatune>",
  ]) {
    assert.equal(isSameMachine(own, withMore(more)), false, more);
  }
  const pinned = withMore('<cputune><vcpupin vcpu="0" cpuset="1"/></cputune>');
  const asOthersWrite = withMore(
    "<!-- <title>none</title> --><cputune>\n <vcpupin cpuset='1' vcpu='0'></vcpupin></cputune>",
  );
  assert.ok(isSameMachine(pinned, asOthersWrite));
  const device = own.replace('</devices>', "<hostdev mode='subsystem' type='pci'/></devices>");
  assert.equal(isSameMachine(own, device), false);
});
