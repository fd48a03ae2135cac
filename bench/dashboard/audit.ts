/** What the audit log of the made-up fleet has. Pure. */
import type { AuditEntry } from '../../src/protocol/controller/audit.ts';
import { at, hostAt, OPEN_ID, REQUEST_ID } from './sample-values.ts';

const ann = {
  who: 'ann via Example ID',
  role: 'operator',
  by: 'session',
  from: '10.0.4.17',
} as const;
const bob = { who: 'bob', role: 'admin', by: 'token', from: '10.0.4.21' } as const;
const stranger = { who: '192.0.2.99', role: 'none', by: 'none', from: '192.0.2.99' } as const;

const entry = (index: number, more: Omit<AuditEntry, 'id' | 'at' | 'controller'>): AuditEntry => ({
  id: `entry-${index}`,
  at: at(index * 7),
  controller: 'control',
  ...more,
});

export function auditEntries(): AuditEntry[] {
  const drain = { kind: 'drain', hosts: [hostAt(0)], settings: { maxParallel: 4 }, priority: 0 };
  const asked = JSON.stringify({ params: { id: REQUEST_ID }, body: drain });
  const putRequest = {
    what: 'putRequest',
    route: 'PUT /v1/requests/:id',
    arguments: asked,
  } as const;
  return [
    entry(1, {
      ...ann,
      what: 'cancelMigration',
      route: 'POST /v1/migrations/:id/cancel',
      arguments: JSON.stringify({ params: { id: OPEN_ID } }),
    }),
    entry(2, { ...ann, ...putRequest, result: 'ok' }),
    entry(3, { ...ann, ...putRequest, result: 'GODWIT_HOST_UNKNOWN' }),
    entry(4, {
      ...stranger,
      what: 'signIn',
      route: 'POST /v1/session',
      result: 'GODWIT_TOKEN_REFUSED',
      unkept: 41,
    }),
    entry(5, {
      ...bob,
      what: 'createToken',
      route: 'POST /v1/tokens',
      arguments: JSON.stringify({ body: { name: 'prometheus', role: 'viewer' } }),
      result: 'ok',
    }),
    entry(6, {
      who: 'root',
      role: 'local',
      by: 'socket',
      what: 'undrain',
      route: 'POST /v1/hosts/:host/undrain',
      arguments: JSON.stringify({ params: { host: hostAt(3) } }),
      result: 'ok',
    }),
  ];
}
