import { godwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { managerPass, managerRefusal } from '../../port/manager-checks.ts';

/** Of a host's capabilities. */
export const ENCRYPTS = 'encryptedVMotionSupported';

/** What vSphere would do with the memory of a guest on its way. */
export interface EncryptionFacts {
  readonly guest: string;
  readonly to: string;
  /** The move is to be refused where the memory would go unencrypted. */
  readonly isAsked: boolean;
  /** As the guest is set (`config.migrateEncryption`); empty where its vCenter does not say. */
  readonly encryption: string;
  /** Both hosts encrypt vMotion. */
  readonly bothCan: boolean;
}

/** A guest that requires it is encrypted or not moved; one that allows it is encrypted where both hosts can. Pure. */
export function encryptionCheck(facts: EncryptionFacts): Check {
  const { guest, to, isAsked, encryption, bothCan } = facts;
  const passing = (evidence: string): Check => managerPass('encryption', 'both', evidence);
  if (encryption === 'required') return passing('the guest requires encrypted vMotion');
  if (encryption === 'opportunistic' && bothCan)
    return passing('encrypted: the guest allows it and both hosts can');
  const why =
    encryption === 'opportunistic'
      ? 'a host cannot encrypt vMotion'
      : `the guest is set to ${encryption === '' ? 'nothing that its vCenter reports' : encryption}`;
  if (!isAsked) return passing(`not encrypted: ${why}`);
  const reason = `its memory would go unencrypted: ${why}`.slice(0, 512);
  const hint = 'Set encrypted vMotion of the guest to Required (VM Options, Encryption).';
  const error = godwitError(
    'GODWIT_MANAGER_REFUSES',
    { manager: 'vSphere', guest, host: to, reason },
    { hint },
  );
  return managerRefusal('encryption', 'both', error);
}
