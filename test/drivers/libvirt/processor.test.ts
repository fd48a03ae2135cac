import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { LibvirtClient } from '../../../src/drivers/libvirt/client.ts';
import { processorChecks, seenCpu } from '../../../src/drivers/libvirt/processor.ts';
import { XdrWriter } from '../../../src/formats/xdr.ts';
import { parseXml, type XmlElement } from '../../../src/formats/xml.ts';
import { fakeDaemon, type Answers } from './support/fake-daemon.ts';

const signal = AbortSignal.timeout(60_000);
const INCOMPATIBLE = 91;

const text = (xml: string) => (): XdrWriter => new XdrWriter().string(xml);
const host = (vendor: string) =>
  text(`<capabilities><host><cpu><vendor>${vendor}</vendor></cpu></host></capabilities>`);
const offers = text(`<domainCapabilities><cpu>
  <mode name='host-passthrough' supported='yes'/>
  <mode name='host-model' supported='yes'><model fallback='forbid'>Skylake-Server</model>
    <vendor>Intel</vendor><feature policy='require' name='avx512f'/>
    <feature policy='require' name='pku'/></mode></cpu></domainCapabilities>`);

function element(xml: string): XmlElement {
  const read = parseXml(xml);
  assert.ok(read);
  return read;
}

async function daemon(t: TestContext, answers: Answers): Promise<LibvirtClient> {
  const known: Answers = {
    66: () => new XdrWriter().uint32(1).int32(0),
    1: () => new XdrWriter(),
    ...answers,
  };
  const socket = await fakeDaemon(t, known);
  const credentials = { ca: '/none', cert: '/none', key: '/none' };
  const client = await LibvirtClient.open(
    `qemu+unix:///system?socket=${socket}`,
    credentials,
    signal,
  );
  t.after(() => client.close());
  return client;
}

interface Trial {
  readonly cpu?: string;
  readonly virtType?: string;
  readonly here?: Answers;
  readonly there?: Answers;
}

async function said(
  t: TestContext,
  { cpu = `<cpu mode='host-passthrough' check='none'/>`, virtType = 'kvm', ...ends }: Trial,
): Promise<string[]> {
  const here = await daemon(t, { 7: host('Intel'), 342: offers, ...ends.here });
  const there = await daemon(t, ends.there ?? {});
  const machine = { virtType, arch: 'x86_64', type: 'pc-q35-7.2', emulator: undefined };
  const facts = { name: 'web', machine: { ...machine, cpu: element(cpu) } };
  const checks = await processorChecks({ facts, to: 'b', here, there, vendor: 'Intel' }, signal);
  return checks.map(({ verdict, side, evidence, error }) =>
    [verdict, side, error?.code ?? evidence].join(' '),
  );
}

describe("a guest with its host's processor", () => {
  test("the processor is compared by name and features with the destination's", async (t) => {
    const asked: string[] = [];
    const there: Answers = {
      393: (body) => {
        for (let part = 0; part < 4; part++) if (body.uint32() === 1) body.string(256);
        asked.push(body.string(65_536));
        return new XdrWriter().int32(1);
      },
    };
    assert.deepEqual(await said(t, { there }), [
      'pass destination its hypervisor gives all that the guest uses',
    ]);
    const cpu = element(asked[0] ?? '');
    assert.deepEqual(cpu.attributes, { mode: 'custom', match: 'exact' });
    assert.deepEqual(
      cpu.children.map(({ text: own, attributes }) => attributes['name'] ?? own),
      ['Skylake-Server', 'Intel', 'avx512f', 'pku'],
    );
  });

  test('the processor is refused if the destination lacks one of its features', async (t) => {
    for (const mode of ['host-passthrough', 'host-model', 'maximum']) {
      const cpu = `<cpu mode='${mode}' check='none'/>`;
      const found = await said(t, { cpu, there: { 393: () => INCOMPATIBLE } });
      assert.deepEqual(found, ['refuse destination GODWIT_CPU_FEATURE']);
    }
  });

  test("a warning is given if the destination's processor has more, or if the source does not report its own", async (t) => {
    const less = { 393: () => new XdrWriter().int32(2) };
    const [more] = await said(t, { there: less, here: { 393: () => new XdrWriter().int32(1) } });
    assert.match(more ?? '', /^warn destination web has the processor of its host, and that of b/);
    // The source says the same of its own processor: the two are alike.
    const [alike] = await said(t, { there: less, here: less });
    assert.match(alike ?? '', /^pass /);
    const [unknown] = await said(t, { there: { 393: () => 1 } });
    assert.match(unknown ?? '', /^warn destination libvirt there does not say/);
    const [unsaid] = await said(t, { here: { 342: () => 3 } });
    assert.match(unsaid ?? '', /^warn source .*\(host-passthrough\).* not compared/);
  });

  test('the processor leaves out removed and nonexistent features, and lists each feature once', () => {
    const offered = element(`<mode name='host-model'><model>EPYC</model>
      <feature policy='require' name='npt'/><feature policy='require' name='pcommit'/>
      <feature policy='require' name='avx2'/></mode>`);
    const own = element(`<cpu mode='host-passthrough'><topology sockets='1'/>
      <feature policy='disable' name='npt'/></cpu>`);
    const features = seenCpu(offered, own).children.map(({ attributes, text: name }) =>
      [attributes['policy'], attributes['name'] ?? name].join(' ').trim(),
    );
    assert.deepEqual(features, ['EPYC', 'disable npt', 'require avx2']);
  });
});

describe('the vendor of a guest’s processor', () => {
  test('another processor vendor at the destination is refused, whatever the model', async (t) => {
    const here = { 7: host('AMD') };
    for (const cpu of [
      `<cpu mode='host-passthrough'/>`,
      `<cpu mode='custom'/>`,
      `<cpu mode='custom' check='none'/>`,
    ])
      assert.deepEqual(await said(t, { cpu, here }), ['refuse destination GODWIT_CPU_VENDOR']);
  });

  test('the vendor is not compared for an emulated guest, or if libvirt names none', async (t) => {
    const there = { 393: () => new XdrWriter().int32(1) };
    for (const trial of [
      { virtType: 'qemu', here: { 7: host('AMD') } },
      { here: { 7: text('<capabilities/>') } },
      { here: { 7: () => 3 } },
    ])
      assert.match((await said(t, { ...trial, there })).join(), /^pass /);
  });
});
