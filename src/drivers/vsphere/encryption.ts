import { godwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { managerPass, managerRefusal } from '../../port/manager-checks.ts';

export const ENCRYPTS = 'encryptedVMotionSupported';

export interface EncryptionFacts {
  readonly guest: string;
  readonly to: string;
  readonly isAsked: boolean;
  /** Guest's setting (`config.migrateEncryption`); empty if not reported. */
  readonly encryption: string;
  /** Both hosts encrypt vMotion. */
  readonly bothCan: boolean;
}

/**
 * A guest that requires encryption is encrypted or not moved; one that allows it is encrypted if both hosts
 * support it. Pure.
 */
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
