import { judgeStart, type StartPermission } from '../../../src/migration/permission/permission.ts';

/** Permission to start a guest that has never left its host: made by the product's own function. */
export function granted(guest: string): StartPermission {
  const verdict = judgeStart({
    guest,
    now: { bootId: 'boot-1', uptimeMs: 0 },
    claim: {
      kind: 'take-back',
      right: 'held',
      handedOver: false,
      byProof: false,
      bootId: 'boot-1',
    },
    counterpart: 'b',
    fleet: ['b'],
    answers: new Map(),
  });
  if (verdict.kind === 'granted') return verdict.permission;
  throw new Error(`not granted: ${verdict.why}`);
}
