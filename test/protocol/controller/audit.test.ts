import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditEntry, MAX_AUDIT_ARGUMENTS } from '../../../src/protocol/controller/audit.ts';

const ENTRY = {
  id: '1',
  at: '2026-11-23T09:00:00Z',
  controller: 'control',
  who: 'ann',
  role: 'operator',
  by: 'token',
  what: 'setMaintenance',
  route: 'PUT /v1/hosts/:host/maintenance',
};

test('an entry of the audit log with an unknown end has no result', () => {
  assert.deepEqual(auditEntry.parse(ENTRY), ENTRY);
});

test('an entry of the audit log stores no more of its arguments than its limit', () => {
  const of = (length: number) => ({ ...ENTRY, arguments: 'x'.repeat(length) });
  assert.ok(auditEntry.safeParse(of(MAX_AUDIT_ARGUMENTS)).success);
  assert.ok(!auditEntry.safeParse(of(MAX_AUDIT_ARGUMENTS + 1)).success);
});
