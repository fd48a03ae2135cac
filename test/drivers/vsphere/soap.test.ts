import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { foundIn } from '../../../src/drivers/vsphere/check.ts';
import {
  envelope,
  group,
  localizedFault,
  objectsIn,
  parseAnswer,
  ref,
  refIn,
  text,
  updatesIn,
} from '../../../src/drivers/vsphere/soap.ts';
import { sightOf, taskIn } from '../../../src/drivers/vsphere/task.ts';
import { at, parseXml } from '../../../src/formats/xml.ts';

const VM = { type: 'VirtualMachine', value: 'vm-42' };

function answer(method: string, inside: string): string {
  return `<?xml version="1.0"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><${method}Response xmlns="urn:vim25">${inside}</${method}Response></soapenv:Body></soapenv:Envelope>`;
}

function fault(detail: string): string {
  return `<soapenv:Envelope xmlns:soapenv="x" xmlns:xsi="y"><soapenv:Body><soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>no</faultstring><detail>${detail}</detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>`;
}

/** Everything that reads an answer, on one that anybody may have written. */
function readAll(document: string): void {
  const said = parseAnswer('RetrievePropertiesEx', document);
  if (!('values' in said)) return;
  for (const value of said.values) {
    updatesIn(value);
    foundIn(value);
    localizedFault(value);
    refIn(value);
    for (const seen of objectsIn(value)) {
      const task = taskIn(seen);
      if (task !== undefined) sightOf(task);
    }
  }
}

describe('SOAP of vSphere', () => {
  test('a call names its object and its method, and arguments stay text', () => {
    const evil = '</userName><password>x</password>&<!--';
    const written = envelope('Login', VM, [text('userName', evil)]);
    const root = parseXml(written);
    assert.ok(root !== undefined);
    const [login] = at(root, 'Body', 'Login');
    assert.deepEqual(
      login?.children.map(({ name }) => name),
      ['_this', 'userName'],
    );
    assert.equal(login?.children[1]?.text, evil);
    assert.throws(() => text('a b', 'x'));
  });

  test('a call writes any text so that it comes back unchanged, and nothing else with it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (value, id) => {
        const parts = [
          text('value', value),
          group('spec', [ref('host', { type: 'T', value: id })]),
        ];
        const root = parseXml(envelope('SetField', VM, parts));
        assert.ok(root !== undefined);
        const [call] = at(root, 'Body', 'SetField');
        assert.equal(call?.children.length, 3);
      }),
    );
  });

  test('an answer is read into objects with their properties', () => {
    const inside = `<returnval><objects><obj type="Task">task-1</obj><propSet><name>info</name><val xsi:type="TaskInfo"><descriptionId>VirtualMachine.relocate</descriptionId><state>running</state><progress>40</progress><queueTime>2026-01-01T00:00:00Z</queueTime></val></propSet></objects></returnval>`;
    const said = parseAnswer('RetrievePropertiesEx', answer('RetrievePropertiesEx', inside));
    assert.ok('values' in said && said.values[0] !== undefined);
    const [seen] = objectsIn(said.values[0]);
    assert.ok(seen !== undefined);
    const task = taskIn(seen);
    assert.deepEqual(task?.ref, { type: 'Task', value: 'task-1' });
    assert.ok(task !== undefined);
    assert.deepEqual(sightOf(task), { state: 'running', percent: 40 });
  });

  test("a fault is reported by its type, with vSphere's message", () => {
    const detail = '<NotAuthenticatedFault xsi:type="NotAuthenticated"/>';
    const said = parseAnswer('Login', fault(detail));
    assert.ok('fault' in said);
    assert.equal(said.fault.type, 'NotAuthenticated');
    assert.equal(said.fault.message, 'no');
    const bare = parseAnswer('Login', fault(''));
    assert.ok('fault' in bare && bare.fault.type === 'RuntimeFault');
  });

  test("a proxy's page, another call's answer, and a document type are rejected as garbage", () => {
    for (const document of [
      '<html>Bad gateway</html>',
      '',
      answer('Logout', ''),
      `<!DOCTYPE x [<!ENTITY a "b">]>${answer('Login', '&a;')}`,
    ]) {
      assert.ok('garbage' in parseAnswer('Login', document), document);
    }
  });

  test('an answer of any kind is read or refused, without an exception', () => {
    const word = fc.constantFrom(
      'objects',
      'obj',
      'propSet',
      'name',
      'val',
      'info',
      'state',
      'error',
      'fault',
      'filterSet',
      'objectSet',
      'changeSet',
      'kind',
      'CheckResult',
      'localizedMessage',
      '__proto__',
      'constructor',
    );
    const attribute = fc.constantFrom('', ' type="Task"', ' xsi:type="TaskInfo"', ' type=""');
    const tree: fc.Arbitrary<string> = fc.letrec<{ tree: string }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 6 },
        fc.constantFrom('', 'enter', 'task-1', 'success', '99999', '&#0;', '-1'),
        fc
          .tuple(word, attribute, fc.array(tie('tree'), { maxLength: 4 }))
          .map(([name, given, inside]) => `<${name}${given}>${inside.join('')}</${name}>`),
      ),
    })).tree;
    fc.assert(
      fc.property(fc.array(tree, { maxLength: 4 }), (trees) => {
        readAll(answer('RetrievePropertiesEx', `<returnval>${trees.join('')}</returnval>`));
      }),
      { numRuns: 500 },
    );
    fc.assert(fc.property(fc.string(), (document) => readAll(document)));
  });

  test('an answer that is cut at any place is refused', () => {
    const whole = answer('Login', '<returnval><key>a</key></returnval>');
    for (let end = 0; end < whole.length; end += 1) {
      const said = parseAnswer('Login', whole.slice(0, end));
      assert.ok('garbage' in said, whole.slice(0, end));
    }
  });
});

describe('findings of CheckRelocate_Task', () => {
  test('the findings of CheckRelocate_Task are read fault by fault', () => {
    const xml = `<val xmlns:xsi="y" xsi:type="ArrayOfCheckResult"><CheckResult><error><fault xsi:type="CpuIncompatible1ECX"><level>1</level></fault><localizedMessage>no</localizedMessage></error><warning><fault xsi:type="SnapshotWarning"/><localizedMessage>well</localizedMessage></warning></CheckResult></val>`;
    const found = foundIn(parseXml(xml));
    assert.deepEqual(
      [found.errors.map(({ type }) => type), found.warnings.map(({ message }) => message)],
      [['CpuIncompatible1ECX'], ['well']],
    );
    assert.deepEqual(foundIn(undefined), { errors: [], warnings: [] });
  });
});
